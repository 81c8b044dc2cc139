"""What budgets can be met at all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from secateurs.criteria import check_graph
from secateurs.graph import Graph
from secateurs.selection._budget import KEYS, rounded_down
from secateurs.selection._prepared import Prepared, prepared
from secateurs.selection._rules import Rules

__all__ = ["Reach", "reachable"]


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far one figure of a model can be brought down.

    Attributes:
        dense: the figure before any cut.
        least: what the smallest step takes off the dense model, of those that take anything; 0 where none does.
        most: what all steps together take off.
    """

    dense: int
    least: int
    most: int

    @property
    def ratio(self) -> float:
        """The largest ratio that can be asked for, rounded down to four places."""
        return rounded_down(self.dense, self.dense - self.most)

    def __str__(self) -> str:
        finest = self.least / self.dense if self.dense else 0.0
        return f"up to {self.ratio:.4f} of {self.dense:,}, the first unit from {finest:.6f}"


def reachable(
    graph: Graph,
    scores: Mapping[str, Tensor] | None = None,
    *,
    protect: Iterable[str] = (),
    floor: float | Mapping[str, float] = 1,
    cap: float | Mapping[str, float] | None = None,
    multiple_of: int = 1,
    kinds: Iterable[str] | None = None,
) -> dict[str, Reach]:
    """How much of `macs`, `params`, `bytes` and `units` can go under these rules: what `select` can be asked for.

    Everything that may go at once reaches the most of every figure, so several ratios can be asked for together where
    each can alone. `select` refuses the rest with the same figures. Scope "global" and "layerwise" reach the same.

    Args:
        graph: what may be cut.
        scores: only of use with branches in `kinds`: how much a branch and its stream lose together depends on which
            units go.
        protect, floor, cap, multiple_of, kinds: as for `select`.

    Raises:
        PlanError: names, patterns or numbers that make no sense, or nothing that may be cut.

    >>> reachable(graph, protect=["fc*"])["macs"].ratio
    0.9981
    """
    check_graph(graph)
    if scores is None:
        scores = {axis.name: torch.arange(axis.size, dtype=torch.float64) for axis in graph.axes}
    rules = Rules(protect=protect, floor=floor, cap=cap, multiple_of=multiple_of, kinds=kinds)
    ready = prepared(graph, scores, rules)
    dense = ready.counting.figures(ready.counting.nothing)
    small = ready.counting.figures(ready.everything)
    least = _finest(ready, dense)
    return {key: Reach(dense=dense[key], least=least[key], most=dense[key] - small[key]) for key in KEYS}


def _finest(ready: Prepared, dense: Mapping[str, int]) -> dict[str, int]:
    """The least that a first step takes off each figure."""
    taken: dict[str, list[int]] = {key: [] for key in KEYS}
    for candidate in ready.found:
        if len(candidate.levels) > 1:
            removed = ready.counting.nothing.copy()
            removed[candidate.atoms(0, int(candidate.levels[1]))] = True
            left = ready.counting.figures(removed)
            for key in KEYS:
                taken[key].append(dense[key] - left[key])
    return {key: min((value for value in values if value > 0), default=0) for key, values in taken.items()}
