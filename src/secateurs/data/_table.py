"""Rows held by Hugging Face `datasets`, whatever they were read from."""

import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from secateurs._errors import DataError
from secateurs.data._columns import image_column, label_column, superclass_column
from secateurs.data._decode import Header, open_header, open_image
from secateurs.data._labels import encode
from secateurs.data._libraries import library
from secateurs.data._options import DataOptions
from secateurs.data._split import Groups, Split

__all__ = ["Origin", "Table", "as_split"]

# Rows whose bytes are taken out of Arrow at once; more gain nothing and hold more memory.
_CHUNK = 1000

_Cells: TypeAlias = Callable[[Sequence[int]], Iterator[tuple[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A file (or split) and the number of its first row in the table."""

    name: str
    start: int


@dataclass(frozen=True, kw_only=True)
class Table:
    """A `datasets.Dataset` and where its rows came from, in order of `start`."""

    dataset: Any
    origins: tuple[Origin, ...]

    def where(self, row: int) -> str:
        """Names the file of a row, and its number there."""
        origin = self.origins[bisect.bisect_right(self.origins, row, key=lambda origin: origin.start) - 1]
        return f"{origin.name} row {row - origin.start}"


def as_split(table: Table, options: DataOptions, known: tuple[str, ...] | None) -> Split:
    """Find the columns, read the labels, and leave the images encoded."""
    where = table.origins[0].name
    if not len(table.dataset):
        raise DataError(where, wanted="at least one image", got="no rows", cure="Check that this is the right data.")
    features = table.dataset.features
    image = image_column(features, options.image_column, where)
    label = label_column(features, options.label_column, where)
    labels, classes = encode(_values(table, label), features[label], known, table.where)
    mode = getattr(features[image], "mode", None)
    encoded = table.dataset.select_columns([image]).cast_column(image, library("datasets").Image(decode=False))
    cells = partial(_cells, table, encoded)
    return Split(
        where=where,
        labels=labels,
        classes=classes,
        pictures=partial(_pictures, cells, mode),
        headers=partial(_headers, cells, mode),
        groups=partial(
            _groups,
            table,
            superclass_column(features, options.superclass_column, label, where),
            asked=options.superclass_column is not None,
        ),
    )


def _groups(table: Table, column: str | None, *, asked: bool) -> Groups | None:
    if column is None:
        return None
    try:
        labels, names = encode(_values(table, column), table.dataset.features[column], None, table.where)
    except DataError:
        if asked:
            raise
        return None  # rows without a super-class are no fault of data that nobody asks for super-classes
    return Groups(column=column, labels=labels, names=names)


def _values(table: Table, column: str) -> Sequence[Any]:
    try:
        values: Sequence[Any] = table.dataset[column][:]
    except (ValueError, OverflowError, NotImplementedError) as error:  # text that is not UTF-8, times before all time
        raise DataError(
            table.origins[0].name,
            wanted=f"labels in column {column!r}",
            got=str(error),
            cure="The file is damaged; fetch or write it again, or set data.label_column to another column.",
        ) from error
    return values


def _pictures(cells: _Cells, mode: str | None, rows: Sequence[int]) -> Iterator[tuple[str, Any]]:
    return ((where, open_image(cell, where, mode)) for where, cell in cells(rows))


def _headers(cells: _Cells, mode: str | None, rows: Sequence[int]) -> Iterator[Header]:
    return (open_header(cell, where, mode) for where, cell in cells(rows))


def _cells(table: Table, encoded: Any, rows: Sequence[int]) -> Iterator[tuple[str, Any]]:
    (column,) = encoded.column_names
    for start in range(0, len(rows), _CHUNK):
        chunk = list(rows[start : start + _CHUNK])
        for row, cell in zip(chunk, encoded[chunk][column], strict=True):
            in_file = cell is not None and cell["bytes"] is None and cell["path"]
            yield cell["path"] if in_file else table.where(row), cell
