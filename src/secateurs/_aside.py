"""Files that other libraries write, put in their places only once they are whole and wanted."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from secateurs._errors import FileError
from secateurs._files import make_directory

__all__ = ["made_aside"]


@contextmanager
def made_aside(path: Path) -> Iterator[Path]:
    """Inside, a new folder beside `path`; afterwards everything in it lies beside `path`, that of its name last.

    Where the block raises, the folder goes and nothing else has changed.

    Raises:
        FileError: a folder that cannot be made, or files that cannot be put in their places.
    """
    make_directory(path.parent)
    try:
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield folder / path.name
        for made in sorted(folder.iterdir(), key=lambda entry: entry.name == path.name):
            _put(made, path.parent / made.name)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put(made: Path, place: Path) -> None:
    if made.is_dir():
        made.chmod(0o755)
        made.rename(place)  # refuses a folder that holds anything
        return
    with made.open("rb") as file:
        os.fsync(file.fileno())
    made.chmod(0o644)
    made.replace(place)


def _unwritable(path: Path, error: OSError) -> FileError:
    cure = "Check space and permissions, and that nothing else has this name."
    return FileError(str(path), wanted="a place that can be written to", got=error.strerror or str(error), cure=cure)
