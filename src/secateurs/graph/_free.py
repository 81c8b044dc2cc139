"""The free forms of many labels at once: a few array operations, however many labels there are."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from secateurs.graph._columns import IntArray, Label, any_of, without_repeats

__all__ = ["free_all"]


def free_all(
    labels: Iterable[Label], settled: IntArray, resolved: Callable[[Label], Label]
) -> list[tuple[Label, Label]]:
    """Each label with its free form, up to columns of zeros as it would be if asked for alone.

    Args:
        labels: none of them empty.
        settled: int array [atoms], what each atom is when free, -1 where it stands for a product.
        resolved: the free form of any label.
    """
    by_width: dict[int, list[Label]] = defaultdict(list)
    for label in labels:
        by_width[label.shape[1]].append(label)
    found: list[tuple[Label, Label]] = []
    for width, group in by_width.items():
        rows = settled[np.concatenate(group)]
        bound = np.logical_or.reduceat(any_of(rows < 0), _starts(group))
        plain = [label for label, is_bound in zip(group, bound.tolist(), strict=True) if not is_bound]
        products = [label for label, is_bound in zip(group, bound.tolist(), strict=True) if is_bound]
        if products:
            found += _parted(products, resolved(np.concatenate(products)))
        if plain:
            left = rows[np.repeat(~bound, [len(label) for label in group])] if products else rows
            found += _parted(plain, without_repeats(left) if width > 1 else left)
    return found


def _starts(labels: Sequence[Label]) -> npt.NDArray[np.int64]:
    """Where each label begins when they come one after the other."""
    return np.cumsum([0, *[len(label) for label in labels[:-1]]])


def _parted(labels: Sequence[Label], rows: Label) -> list[tuple[Label, Label]]:
    """Each label with its rows; columns that are empty everywhere are left out, but for one."""
    rows.flags.writeable = False
    starts = _starts(labels).tolist()
    parts = [rows[start : start + len(label)] for label, start in zip(labels, starts, strict=True)]
    if rows.shape[1] > 1:
        used = np.logical_or.reduceat(rows > 0, starts, axis=0)
        used[:, 0] |= ~used.any(1)
        for number in np.flatnonzero(~used.all(1)):
            parts[number] = parts[number][:, used[number]]
            parts[number].flags.writeable = False
    return list(zip(labels, parts, strict=True))
