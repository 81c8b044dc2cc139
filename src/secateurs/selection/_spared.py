"""Branches that would lose every unit, some with their stream and the rest alone, keep their best one."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from secateurs.graph import Graph
from secateurs.selection._candidates import Candidate

__all__ = ["Spare"]

BoolArray = npt.NDArray[np.bool_]


class Spare:
    """Gives back the highest unit of each branch of which nothing is left.

    A floor is about the units of one axis. What a producer of a sum loses is the units of two, so that nothing may be
    left of it though both keep some.
    """

    def __init__(self, graph: Graph, found: Sequence[Candidate]) -> None:
        self._branches = []
        for candidate in found:
            axis = candidate.axes[0]
            made = [member for member in axis.members if member.role == "produces"]
            if axis.kind == "branch" and made:
                label = graph.weights[made[0].path].labels[made[0].dim]
                assert label is not None
                self._branches.append((graph.algebra.resolve(label), axis.atoms[candidate.orders[0][::-1]]))

    def __call__(self, removed: BoolArray) -> BoolArray:
        """The marks of removed roots, without those of the units given back."""
        for rows, best_first in self._branches:
            if removed[rows].any(1).all():
                removed = _with_one_back(removed, rows, best_first)
        return removed


def _with_one_back(removed: BoolArray, rows: npt.NDArray[np.int64], best_first: npt.NDArray[np.int64]) -> BoolArray:
    for atom in best_first:
        tried = removed.copy()
        tried[atom] = False
        if not tried[rows].any(1).all():
            return tried
    return removed
