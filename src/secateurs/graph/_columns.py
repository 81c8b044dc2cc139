"""Labels as arrays: rows are positions, columns are atoms."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from numpy import count_nonzero

__all__ = [
    "IntArray",
    "Label",
    "any_of",
    "are_apart",
    "check_sizes",
    "first_wide",
    "grouping",
    "is_ascending",
    "outer",
    "stack_columns",
    "varying_dims",
    "wider",
    "without_common",
    "without_repeats",
]

IntArray = npt.NDArray[np.int64]
Label = IntArray
"""Int array [n, k] of atoms; row i disappears when any of its atoms does."""


def stack_columns(labels: Sequence[Label | None], sizes: Sequence[int]) -> Label | None:
    """The label of a concatenation: rows one after the other, short rows filled up with atom 0."""
    check_sizes(labels, sizes)
    if all(label is None for label in labels):
        return None
    width = max(label.shape[1] for label in labels if label is not None)
    rows = np.zeros((sum(sizes), width), dtype=np.int64)
    start = 0
    for label, size in zip(labels, sizes, strict=True):
        if label is not None:
            rows[start : start + size, : label.shape[1]] = label
        start += size
    return rows


def check_sizes(labels: Sequence[Label | None], sizes: Sequence[int]) -> None:
    for label, size in zip(labels, sizes, strict=True):
        if label is not None and len(label) != size:
            raise ValueError(f"a label of {len(label)} positions cannot belong to a dim of {size}")


def without_common(a: Label, b: Label) -> tuple[Label, Label]:
    """Both labels without the atoms that a row of one shares with the same row of the other."""
    common = (a[:, :, None] == b[:, None, :]) & (a[:, :, None] > 0)
    if not common.any():
        return a, b
    return np.where(common.any(2), 0, a), np.where(common.any(1), 0, b)


def without_repeats(rows: Label) -> Label:
    """Every atom of a row once; columns that are empty everywhere are left out, but for one. Writes into `rows`."""
    for column in range(1, rows.shape[1]):
        repeated = any_of(rows[:, :column] == rows[:, column : column + 1])
        rows[repeated, column] = 0
    used = np.array([count_nonzero(column) > 0 for column in rows.T])
    if used.all():
        return rows
    return rows[:, used] if used.any() else rows[:, :1]


def any_of(marks: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """`any` along rows; numpy's own takes ten times as long on few columns."""
    found = marks[:, 0]
    for column in range(1, marks.shape[1]):
        found = found | marks[:, column]
    return found


def is_ascending(atoms: IntArray) -> bool:
    """Whether each is larger than the one before."""
    return bool(count_nonzero(atoms[1:] > atoms[:-1]) >= len(atoms) - 1)


def are_apart(a: IntArray, b: IntArray) -> bool:
    """Whether two arrays have no atom in common; younger atoms have larger numbers, so that most ranges differ."""
    if not a.size or not b.size or a.max() < b.min() or b.max() < a.min():
        return True
    return not np.isin(a, b).any()


def varying_dims(grid: IntArray) -> list[int]:
    """The dims of a grid along which its values differ."""
    return [dim for dim, size in enumerate(grid.shape) if size > 1 and not (grid == np.take(grid, [0], axis=dim)).all()]


def wider(values: IntArray, room: int) -> IntArray:
    """The same values with zeros after them, `room` in all."""
    larger = np.zeros((room, *values.shape[1:]), dtype=values.dtype)
    larger[: len(values)] = values
    return larger


def first_wide(sizes: Sequence[int]) -> int:
    return next((dim for dim, size in enumerate(sizes) if size > 1), 0)


def outer(labels: Sequence[Label], dims: Sequence[int], sizes: Sequence[int]) -> Label:
    """Columns of labels that sit on some dims of a grid, broadcast over the grid and flattened."""
    columns = []
    for label, dim in zip(labels, dims, strict=True):
        shape = [1] * len(sizes)
        shape[dim] = sizes[dim]
        columns += [np.broadcast_to(column.reshape(shape), tuple(sizes)).reshape(-1) for column in label.T]
    return np.stack(columns, axis=1)


def grouping(column: IntArray) -> IntArray:
    """Which positions hold equal atoms: the number of the position where each atom is first met."""
    _, first, inverse = np.unique(column, return_index=True, return_inverse=True)
    grouping: IntArray = first[inverse]
    return grouping
