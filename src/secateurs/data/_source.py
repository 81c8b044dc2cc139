"""Which source an option means, and which of its splits."""

from dataclasses import replace
from pathlib import Path

from secateurs._errors import DataError
from secateurs._nearest import nearest_hint
from secateurs.data._digits import digits
from secateurs.data._folder import folder, unreadable
from secateurs.data._hub import hub
from secateurs.data._known import HUB_NAMES, local_copy
from secateurs.data._options import DataOptions
from secateurs.data._parquet import parquet
from secateurs.data._split import Source, Split

__all__ = ["expanded", "read_splits", "source_of"]


def source_of(options: DataOptions) -> Source:
    """The source that `options` name; nothing but its table of contents is read."""
    if options.path is not None:
        return _local(expanded(Path(options.path)), options)
    assert options.name is not None  # DataOptions checked it
    if options.name == "digits":
        return Source(name="digits", where="digits", readers={options.train_split: lambda _: digits()})
    copy = local_copy(options.name)
    if options.name in HUB_NAMES and copy is not None:
        return replace(_local(copy, options), name=options.name)
    return hub(HUB_NAMES.get(options.name, options.name), options)


def read_splits(source: Source, options: DataOptions) -> tuple[Split, Split | None]:
    """The split to train on and the one to test on; None where the source has one split only."""
    if len(source.readers) == 1:
        (reader,) = source.readers.values()
        return reader(None), None
    for option in ("train_split", "test_split"):
        _check_split(source, option, getattr(options, option))
    train = source.readers[options.train_split](None)
    return train, source.readers[options.test_split](train.classes)


def expanded(path: Path) -> Path:
    """The path with the home folder that a ~ means.

    Raises:
        DataError: nobody's home folder.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise DataError(
            str(path), wanted="a path", got="the home folder of nobody known here", cure="Write the path out."
        ) from error


def _local(path: Path, options: DataOptions) -> Source:
    try:
        if path.is_dir():
            files = sorted(path.glob("*.parquet"))
            return parquet(path, files, options) if files else folder(path, options)
        found = path.is_file()
    except OSError as error:
        raise unreadable(path, error) from error
    if not found:
        raise DataError(str(path), wanted="a Parquet file or a folder", got="nothing there", cure="Check data.path.")
    if path.suffix != ".parquet":
        raise DataError(
            str(path),
            wanted="a Parquet file or a folder",
            got=f"a file of kind {path.suffix or '(none)'!r}",
            cure="Give data.path a .parquet file, or a folder of images or Parquet files.",
        )
    return parquet(path, [path], options)


def _check_split(source: Source, option: str, name: str) -> None:
    if name in source.readers:
        return
    raise DataError(
        source.where,
        wanted=f"{option} to be one of " + ", ".join(source.readers),
        got=repr(name),
        cure=nearest_hint(name, source.readers, f"Set data.{option} to one of these."),
    )
