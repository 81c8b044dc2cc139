"""Data sets of the Hugging Face hub, by name."""

from functools import partial
from pathlib import Path
from typing import Any

from secateurs._errors import DataError
from secateurs.data._libraries import library
from secateurs.data._options import DataOptions
from secateurs.data._split import Source, Split
from secateurs.data._table import Origin, Table, as_split

__all__ = ["hub"]


def hub(name: str, options: DataOptions) -> Source:
    """All splits of `datasets.load_dataset(name)`; that library's cache keeps what was downloaded once."""
    if Path(name).exists():  # `datasets` would read it instead
        raise DataError(
            f"data.name={name}",
            wanted="a data set of the hub",
            got="a path that is here, too",
            cure=f"To read what is here, set data.path={name}; else run this in another folder.",
        )
    datasets = library("datasets")
    try:
        splits = datasets.load_dataset(name)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise DataError(
            f"data.name={name}",
            wanted="'digits', or a data set that the Hugging Face hub has or that was fetched before",
            got=str(error).strip() or type(error).__name__,
            cure="Check the name and the network, or give local files by data.path.",
        ) from error
    readers = {split: partial(_read, name, split, dataset, options) for split, dataset in splits.items()}
    return Source(name=name, where=f"data.name={name}", readers=readers)


def _read(name: str, split: str, dataset: Any, options: DataOptions, known: tuple[str, ...] | None) -> Split:
    origin = Origin(name=f"{name} split {split}", start=0)
    return as_split(Table(dataset=dataset, origins=(origin,)), options, known)
