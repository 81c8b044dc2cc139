"""The network that a run has left, built again from its directory alone."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from secateurs._errors import ConfigError
from secateurs.data import load as load_data
from secateurs.recipes._config import Recipe, parse
from secateurs.recipes._data import evaluation_batches
from secateurs.recipes._directory import read_state
from secateurs.recipes._model import build_model
from secateurs.recipes._weights import weights_file
from secateurs.recipes._yaml import read_yaml
from secateurs.surgery import load
from secateurs.training import resolve_device

__all__ = ["Left", "left_by"]


@dataclass(frozen=True, kw_only=True)
class Left:
    """A network from a run.

    Attributes:
        model: with its weights, cut as the run has cut it.
        shape: channels, height and width of the images that it takes.
        run: the run's directory.
        file: the weights that were read.
    """

    model: nn.Module
    shape: tuple[int, int, int]
    run: Path
    file: Path


def left_by(path: Path) -> Left | None:
    """What a run has left: of its directory, the last stage's model; of a file or folder in it, that one.

    None where there is no run around.

    Raises:
        ConfigError: a run without a model, or a network that can no longer be made.
        DataError: a run that did not note what images are like, and whose images are gone.
    """
    run = next((folder for folder in (path, *path.parents[:3]) if _is_run(folder)), None)
    if run is None:
        return None
    recipe = parse(read_yaml(run / "config.yaml"), source=str(run / "config.yaml"))
    if recipe.variants or recipe.seeds:
        cure = "Name one of them."
        raise ConfigError(str(path), wanted="the directory of one run", got="a study of several", cure=cure)
    file = weights_file(path)
    classes, shape = _made_for(run, recipe)
    channels, size, _ = shape
    model = load(
        file, lambda: build_model(recipe.model, classes=classes, channels=channels, size=size, seed=recipe.seed)
    )
    return Left(model=model, shape=shape, run=run, file=file)


def _is_run(folder: Path) -> bool:
    return (folder / "run.json").is_file() and (folder / "config.yaml").is_file()


def _made_for(run: Path, recipe: Recipe) -> tuple[int, tuple[int, int, int]]:
    """Classes of the data and the shape of its images: as the run noted them, or by a look at the data."""
    noted = read_state(run).get("made_for")
    if isinstance(noted, dict) and isinstance(noted.get("classes"), int) and len(noted.get("shape", ())) == 3:
        channels, height, width = map(int, noted["shape"])
        return noted["classes"], (channels, height, width)
    splits = load_data(recipe.data, device="cpu")
    device = resolve_device("cpu")
    return len(splits.all_classes), evaluation_batches(recipe.batches, splits, splits.test, device, whole=True).shape
