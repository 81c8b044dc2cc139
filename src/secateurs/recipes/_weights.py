"""Which file `model.weights` means: a file, or what a run has left at its end."""

from pathlib import Path
from typing import Any

from secateurs._errors import ConfigError
from secateurs.recipes._directory import read_state
from secateurs.recipes._yaml import read_yaml
from secateurs.recipes.stages import MODEL_FILE

__all__ = ["trained_on", "weights_file"]

_ALL = "entire_dataset"


def weights_file(path: Path) -> Path:
    """`path` itself; of a run's directory, the model of the last stage that left one; of a stage's folder, its model.

    Raises:
        ConfigError: a directory without a model.
    """
    if not path.is_dir():
        return path
    names = [str(entry["name"]) for entry in read_state(path).get("stages", []) if entry.get("status") == "finished"]
    files = [path / MODEL_FILE, *(path / "stages" / name / MODEL_FILE for name in reversed(names))]
    found = [file for file in files if file.is_file()]
    if not found:
        raise ConfigError(
            "model.weights",
            wanted=f"a file, or the directory of a run whose stages have left a {MODEL_FILE}",
            got=f"the directory {path}, without any",
            cure="Name the file; of a study, name the directory of one of its runs.",
        )
    return found[0]


def trained_on(path: Path) -> str | None:
    """The classes that the run was about which wrote these weights; None where no run did."""
    for folder in (path, *path.parents[:3]):
        if (folder / "run.json").is_file() and (folder / "config.yaml").is_file():
            config = read_yaml(folder / "config.yaml")
            data: Any = config.get("data") if isinstance(config, dict) else None
            classes = data.get("classes") if isinstance(data, dict) else None
            if classes is None:
                return _ALL
            return classes if isinstance(classes, str) else "+".join(map(str, classes))
    return None
