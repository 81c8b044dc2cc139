"""Free forms of labels: what they are when only what can be removed counts."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from secateurs.graph._columns import IntArray, Label, any_of, without_repeats

__all__ = ["FreeForms", "free_all"]

_MANY = 50_000
"""Labels whose free form is remembered; few models have a tenth of that."""
_OFTEN = 8
"""Asked as often without any change in between, as it is after a trace, remembering pays."""


class FreeForms:
    """Free forms, remembered as long as nothing changes.

    Args:
        settled: finds what atoms are when free, -1 where they stand for a product.
        resolved: finds the free form of any label.
    """

    def __init__(self, settled: Callable[[IntArray], IntArray], resolved: Callable[[Label], Label]) -> None:
        self._settle, self._resolved = settled, resolved
        self._settled: IntArray | None = None
        self._known: dict[int, tuple[Label, Label]] = {}
        self._contents: dict[tuple[int, bytes], Label] = {}
        self._state, self._asked = (-1, -1), 0

    def of(self, label: Label, state: tuple[int, int]) -> Label:
        """The free form of a label, in a state of the algebra."""
        self._enter(state)
        self._asked += 1
        if self._asked <= _OFTEN:
            return self._resolved(label)
        known = self._known.get(id(label))
        if known is None:
            if len(self._known) > _MANY:
                self._known.clear()
            known = self._known[id(label)] = (label, self._found(label))  # the label too: its address stays its
        return known[1]

    def settle(self, labels: Iterable[Label], state: tuple[int, int]) -> None:
        """Find those of many labels at once, the same array for equal ones."""
        self._enter(state)
        self._asked = _OFTEN
        new = {id(label): label for label in labels if id(label) not in self._known and len(label)}
        for label, free in free_all(new.values(), self._settle, self._resolved):
            self._known[id(label)] = label, self._contents.setdefault((free.shape[1], free.tobytes()), free)

    def _enter(self, state: tuple[int, int]) -> None:
        if self._state != state:
            self._state, self._asked, self._settled = state, 0, None
            self._known, self._contents = {}, {}

    def _atoms(self) -> IntArray:
        if self._settled is None:
            self._settled = self._settle(np.arange(self._state[1]))
        return self._settled

    def _found(self, label: Label) -> Label:
        free = self._atoms()[label]
        if np.count_nonzero(free < 0):
            free = self._resolved(label)
        elif label.shape[1] > 1:
            free = without_repeats(free)
        free.flags.writeable = False
        return free


def free_all(
    labels: Iterable[Label], settled: Callable[[IntArray], IntArray], resolved: Callable[[Label], Label]
) -> list[tuple[Label, Label]]:
    """Each label with its free form, up to columns of zeros as it would be if asked for alone.

    Args:
        labels: none of them empty.
        settled: finds what atoms are when free, -1 where they stand for a product.
        resolved: the free form of any label.
    """
    by_width: dict[int, list[Label]] = defaultdict(list)
    for label in labels:
        by_width[label.shape[1]].append(label)
    found: list[tuple[Label, Label]] = []
    for width, group in by_width.items():
        rows = settled(np.concatenate(group))
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
