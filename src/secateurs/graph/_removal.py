"""What a removal leaves of labels."""

import numpy as np
import numpy.typing as npt

from secateurs.graph._labels import Algebra, IntArray, Label

__all__ = ["Removal"]


class Removal:
    """Which positions of labels go with some roots, looked at once for equal labels.

    Args:
        algebra: of the labels.
        roots: bool array [atoms], set for what is removed.
    """

    def __init__(self, algebra: Algebra, roots: npt.NDArray[np.bool_]) -> None:
        self.algebra, self.roots = algebra, roots
        self._gone: dict[int, tuple[Label, IntArray]] = {}
        self._positions: dict[int, tuple[int, ...]] = {}

    def gone(self, label: Label) -> IntArray:
        """The positions that go, ascending."""
        free = self.algebra.free(label)
        known = self._gone.get(id(free))
        if known is None:  # the label too, so that its address stays its
            known = self._gone[id(free)] = free, np.flatnonzero(self.algebra.removed_rows(label, self.roots))
        return known[1]

    def positions(self, label: Label) -> tuple[int, ...]:
        """The positions that go, ascending, the same tuple for equal labels."""
        gone = self.gone(label)
        positions = self._positions.get(id(gone))
        if positions is None:
            positions = self._positions[id(gone)] = tuple(gone.tolist())
        return positions

    def kept(self, label: Label) -> int:
        """How many positions stay."""
        return len(label) - len(self.gone(label))
