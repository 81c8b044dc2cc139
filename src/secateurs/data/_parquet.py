"""Parquet files, alone or one or more for each split."""

import itertools
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from secateurs._errors import DataError
from secateurs.data._features import features_of
from secateurs.data._libraries import library
from secateurs.data._memory import fits
from secateurs.data._options import DataOptions
from secateurs.data._split import Source, Split
from secateurs.data._table import Origin, Table, as_split

__all__ = ["parquet"]

# train-00000-of-00002.parquet, train_1.parquet and train.parquet all belong to "train".
_SHARD = re.compile(r"[-_.]?\d+([-_]of[-_]\d+)?$")


def parquet(path: Path, files: Sequence[Path], options: DataOptions) -> Source:
    """Files of one folder, those of one split told by what their names start with, in the order of names."""
    groups: dict[str, list[Path]] = {}
    for file in sorted(files):
        groups.setdefault(_SHARD.sub("", file.stem) or file.stem, []).append(file)
    readers = {name: partial(_read, tuple(group), options) for name, group in groups.items()}
    return Source(name=path.stem if path.is_file() else path.name, where=str(path), readers=readers)


def _read(files: tuple[Path, ...], options: DataOptions, known: tuple[str, ...] | None) -> Split:
    parts = [_table(file, mapped=_mapped(files, options)) for file in files]
    starts = itertools.accumulate((len(part) for part in parts[:-1]), initial=0)
    origins = tuple(Origin(name=str(file), start=start) for file, start in zip(files, starts, strict=True))
    try:
        dataset = library("datasets").concatenate_datasets(parts)
    except ValueError as error:
        raise DataError(
            str(files[0].parent),
            wanted=f"equal columns in {', '.join(file.name for file in files)}",
            got=str(error),
            cure="Write them with one schema, or give data.path a single file.",
        ) from error
    return as_split(Table(dataset=dataset, origins=origins), options, known)


def _mapped(files: Sequence[Path], options: DataOptions) -> bool:
    """Whether the encoded images stay on disk: where they would take a quarter of the free memory, or more."""
    size = sum(file.stat().st_size for file in files)
    return options.resident is False or not fits(2 * size, torch.device("cpu"))


def _table(file: Path, *, mapped: bool) -> Any:
    datasets, parquet = library("datasets"), library("pyarrow.parquet")
    try:
        features = features_of(parquet.read_schema(file), str(file))
        columns = list(features)
        if mapped:
            # Rows of a Parquet file cannot be reached one by one; of an Arrow file they can, and the system maps it.
            # This writes one into the cache of `datasets` (HF_DATASETS_CACHE), where later runs find it.
            return datasets.Dataset.from_parquet(str(file), features=features, columns=columns)
        # Straight from Arrow, with no copy in the cache. partitioning=None: else a parent folder named a=b would
        # add a column.
        table = parquet.read_table(file, columns=columns, partitioning=None).select(columns)
        return datasets.Dataset(table.replace_schema_metadata(features.arrow_schema.metadata))
    # MemoryError: of a damaged file, which may claim gigabytes for a page of some bytes.
    except (
        OSError,
        ValueError,
        LookupError,
        NotImplementedError,
        MemoryError,
        datasets.exceptions.DatasetsError,
    ) as error:
        raise DataError(
            str(file),
            wanted="a whole Parquet file",
            got=str(error),
            cure="The file is damaged, unreadable or of another kind; fetch or write it again.",
        ) from error
