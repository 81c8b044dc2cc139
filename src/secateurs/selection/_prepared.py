"""What a choice of units begins with: candidates in order, and what the model costs without some of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from secateurs.graph import Axis, Graph
from secateurs.selection._candidates import Candidate, candidates
from secateurs.selection._rules import Rules
from secateurs.selection._spared import Spare

__all__ = ["Counting", "Prepared", "prepared"]

BoolArray = npt.NDArray[np.bool_]


class Counting:
    """Figures of the model under marks of removed roots."""

    def __init__(self, graph: Graph, axes: Sequence[Axis], spare: Spare) -> None:
        self._graph, self.spare = graph, spare
        own = {axis.name for axis in axes}
        # A branch axis offers units of another axis a second time.
        self._units = sum(axis.size for axis in graph.axes if axis.kind != "branch" or axis.name in own)
        self.nothing = graph.removed_roots({})

    def figures(self, removed: BoolArray) -> dict[str, int]:
        """Macs, params, bytes and units that stay, with those that branches are spared."""
        removed = self.spare(removed)
        return {**self._graph.counts.count(removed), "units": self._units - int(np.count_nonzero(removed))}


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """Axes that take part, checked and sorted.

    Attributes:
        axes: those that take part.
        found: the same as candidates, coupled ones together.
        counting: what the model costs.
        told: the rules in the words of an error.
    """

    axes: tuple[Axis, ...]
    found: tuple[Candidate, ...]
    counting: Counting
    told: str

    @property
    def everything(self) -> BoolArray:
        """The marks of all units that may go."""
        removed = self.counting.nothing.copy()
        for candidate in self.found:
            removed[candidate.atoms(0, int(candidate.levels[-1]))] = True
        return removed


def prepared(graph: Graph, scores: Mapping[str, Tensor], rules: Rules) -> Prepared:
    """The candidates of a graph under these rules.

    Raises:
        PlanError: scores, names, patterns or numbers that make no sense.
    """
    axes = rules.axes(graph)
    found = candidates(graph, scores, axes, rules.limits(graph))
    counting = Counting(graph, axes, Spare(graph, found))
    return Prepared(axes=axes, found=found, counting=counting, told=rules.told(graph, axes))
