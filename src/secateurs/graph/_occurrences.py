"""Where atoms show up: the columns of all labels of all weights, one after the other in one array."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from secateurs.graph._labels import Algebra, IntArray, Label
from secateurs.graph._record import Info

__all__ = ["Occurrences", "group_atoms"]

BoolArray = npt.NDArray[np.bool_]


class Occurrences:
    """Every occurrence of an atom: in a column of a label, at a position. Equal labels are there once.

    Attributes:
        places: path and dim of each dim that has a label, and the numbers of the columns of its label.
        lengths: int array [columns].
        starts: int array [columns], where each begins.
        atoms: int array [n], of all columns, one after the other; 0 where nothing can be cut.
        columns: int array [n], the column that each entry is in.
    """

    def __init__(self, algebra: Algebra, weights: Mapping[str, Info]) -> None:
        self.places: list[tuple[str, int, range]] = []
        known: dict[int, range] = {}
        found: list[IntArray] = [_NONE]
        for path, info in weights.items():
            for dim, label in enumerate(info.labels):
                if label is None or not len(label):
                    continue
                free = algebra.free(label)
                columns = known.get(id(free))
                if columns is None:
                    columns = known[id(free)] = range(len(found) - 1, len(found) - 1 + free.shape[1])
                    found.extend(free.T)
                self.places.append((path, dim, columns))
        self.lengths = np.array([len(column) for column in found[1:]], dtype=np.int64)
        self.starts = np.cumsum(self.lengths) - self.lengths
        self.atoms = np.concatenate(found)
        self.columns = np.repeat(np.arange(len(self.lengths)), self.lengths)
        self._labels = np.repeat(np.arange(len(known)), [len(columns) for columns in known.values()])

    def touching(self, marked: BoolArray) -> BoolArray:
        """Which columns [columns] are of a label with a marked atom."""
        labels = np.zeros(len(self._labels) + 1, dtype=bool)
        labels[self._labels[self.columns[marked[self.atoms]]]] = True
        touching: BoolArray = labels[self._labels]
        return touching

    def ends(self, values: IntArray) -> tuple[IntArray, IntArray]:
        """The lowest and the highest value [columns] in each column, of a value for each entry."""
        if not len(self.starts):
            return _NONE, _NONE
        return np.minimum.reduceat(values, self.starts), np.maximum.reduceat(values, self.starts)

    def first_places(self, count: int) -> IntArray:
        """Where each atom [count] shows up first; -1 for those that do not, and for 0."""
        first = np.full(count, -1, dtype=np.int64)
        first[self.atoms[::-1]] = np.arange(len(self.atoms))[::-1]  # of several values, the last one stays
        first[0] = -1
        return first

    def pairs(self, chosen: BoolArray, count: int) -> tuple[IntArray, IntArray]:
        """Atoms [n] and their columns [n], each pair once, within some columns; of atoms below `count`, without 0."""
        which = np.flatnonzero(chosen[self.columns] & (self.atoms > 0))
        atoms, columns = self.atoms[which], self.columns[which]
        bits = count.bit_length()
        codes = columns << bits | atoms
        if np.count_nonzero(codes[1:] > codes[:-1]) >= len(codes) - 1:
            return atoms, columns
        codes.sort()  # numpy's `unique` takes many times as long
        codes = codes[np.concatenate([[True], codes[1:] != codes[:-1]])]
        return codes & (1 << bits) - 1, codes >> bits


_NONE: IntArray = np.zeros(0, dtype=np.int64)


def group_atoms(shown: Occurrences, borders: Sequence[Label], branches: BoolArray) -> list[IntArray]:
    """Atoms with equal sets of occurrences, each group in the order of its first occurrence.

    A dim that has lost units of its own (a branch) holds part of a stream only; that does not divide the stream.

    Args:
        borders: further labels; atoms inside and outside of one do not belong together.
        branches: [atoms], set for the units of branches.
    """
    first, parted = shown.first_places(len(branches)), shown.touching(branches)
    signature = _signatures(shown.pairs(~parted, len(branches)), len(branches))
    atoms, columns = shown.pairs(parted, len(branches))
    alone = signature[atoms] == 0
    signature += _signatures((atoms[alone], columns[alone]), len(branches), seed=1)
    lines = (column for label in borders for column in label.T)
    for number, column in enumerate(lines, start=2):
        signature[np.unique(column)] += np.random.default_rng(number).integers(1, 2**63, dtype=np.uint64)
    seen = np.flatnonzero(first >= 0)
    seen = seen[np.argsort(first[seen], kind="stable")]
    _, inverse = np.unique(signature[seen], return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    cuts = np.flatnonzero(np.diff(inverse[order])) + 1
    groups = [seen[part] for part in np.split(order, cuts) if len(part)]
    return sorted(groups, key=lambda atoms: int(first[atoms[0]]))


def _signatures(pairs: tuple[IntArray, IntArray], count: int, seed: int = 0) -> npt.NDArray[np.uint64]:
    """Per atom, the sum of a random number for each of its columns: equal for equal sets."""
    atoms, columns = pairs
    signature = np.zeros(count, dtype=np.uint64)
    if len(atoms):
        numbers = np.random.default_rng(seed).integers(1, 2**63, size=int(columns.max()) + 1, dtype=np.uint64)
        np.add.at(signature, atoms, numbers[columns])
    return signature
