"""Image folders: one sub-folder for each class, or train/ and test/ with such sub-folders in each."""

from functools import partial
from pathlib import Path

from secateurs._errors import DataError
from secateurs.data._libraries import library
from secateurs.data._options import DataOptions
from secateurs.data._split import Source, Split
from secateurs.data._table import Origin, Table, as_split

__all__ = ["folder", "unreadable"]

_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def folder(path: Path, options: DataOptions) -> Source:
    """A split in each sub-folder of `path` where these hold sub-folders themselves, else a class in each.

    Classes are numbered in the order of their names. Hidden folders and files of other kinds are passed over.
    """
    children = _children(path)
    if not children:
        raise DataError(
            str(path),
            wanted="Parquet files, or a sub-folder for each class",
            got="images without sub-folders" if _images(path) else "neither",
            cure="Put the images of each class into a folder named after it.",
        )
    if any(_children(child) for child in children):
        readers = {child.name: partial(_read, child, options) for child in children}
    else:
        readers = {options.train_split: partial(_read, path, options)}
    return Source(name=path.name, where=str(path), readers=readers)


def _read(path: Path, options: DataOptions, known: tuple[str, ...] | None) -> Split:
    files: list[str] = []
    labels: list[str] = []
    for child in _children(path):
        images = _images(child)
        if not images:
            raise DataError(
                str(child),
                wanted="images (" + ", ".join(sorted(_SUFFIXES)) + ")",
                got="none",
                cure="Remove this folder, or put the images of its class into it.",
            )
        files += [_named(image) for image in images]
        labels += [child.name] * len(images)
    datasets = library("datasets")
    features = datasets.Features({"image": datasets.Image(decode=False), "label": datasets.Value("string")})
    dataset = datasets.Dataset.from_dict({"image": files, "label": labels}, features=features)
    return as_split(Table(dataset=dataset, origins=(Origin(name=str(path), start=0),)), options, known)


def _named(path: Path) -> str:
    """The path as text; Arrow, which holds it, knows UTF-8 only."""
    text = str(path)
    if any("\udc80" <= character <= "\udcff" for character in text):  # how Python writes bytes that are not UTF-8
        raise DataError(text, wanted="a name in UTF-8", got="one with other bytes", cure="Rename the file or folder.")
    return text


def _children(path: Path) -> list[Path]:
    try:
        return [child for child in _entries(path) if child.is_dir() and not child.name.startswith(".")]
    except OSError as error:
        raise unreadable(path, error) from error


def _images(path: Path) -> list[Path]:
    return [child for child in _entries(path) if child.suffix.lower() in _SUFFIXES]


def _entries(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> DataError:
    """The error for a folder that the system refuses to list."""
    got = error.strerror or str(error)
    return DataError(str(path), wanted="a folder that can be read", got=got, cure="Check its permissions.")
