"""Sweep files that come with the package."""

from pathlib import Path

from secateurs._errors import ConfigError
from secateurs._nearest import nearest_hint
from secateurs.recipes import ready_folder

__all__ = ["find_sweep", "ready_sweeps"]


def ready_sweeps() -> tuple[Path, ...]:
    """All of them, by name."""
    return tuple(sorted((ready_folder() / "sweeps").glob("*.yaml")))


def find_sweep(text: str) -> Path:
    """The file that `text` means: a path, or the bare name of a ready sweep.

    Raises:
        ConfigError: there is neither.
    """
    if Path(text).is_file():
        return Path(text)
    ready = {path.stem: path for path in ready_sweeps()}
    if text in ready:
        return ready[text]
    cure = nearest_hint(text, ready, f"Ready sweeps: {', '.join(ready) or 'none'}.")
    got = "a directory" if Path(text).is_dir() else "no such file"
    raise ConfigError(text, wanted="a sweep file or the name of a ready sweep", got=got, cure=cure)
