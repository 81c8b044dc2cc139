"""From scores to a plan."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from secateurs._errors import PlanError
from secateurs._nearest import nearest_hint
from secateurs.criteria import check_graph
from secateurs.graph import Axis, Graph, Plan
from secateurs.selection._budget import Budget
from secateurs.selection._candidates import Candidate, Limits, candidates
from secateurs.selection._floors import axis_floors
from secateurs.selection._ratios import axis_ratios, counts_by_ratio
from secateurs.selection._search import fewest, give_back
from secateurs.selection._spared import Spare
from secateurs.selection._steps import Steps, global_steps, layerwise_steps
from secateurs.selection._taking_part import taking_part

__all__ = ["select"]

BoolArray = npt.NDArray[np.bool_]
_ORDERS: Mapping[str, Callable[[Sequence[Candidate]], Steps]] = {"global": global_steps, "layerwise": layerwise_steps}


def select(
    graph: Graph,
    scores: Mapping[str, Tensor],
    remove: Mapping[str, float] | None = None,
    *,
    scope: Literal["global", "layerwise"] | Mapping[str, float] = "global",
    protect: Iterable[str] = (),
    floor: float | Mapping[str, float] = 1,
    multiple_of: int = 1,
    kinds: Iterable[str] | None = None,
) -> Plan:
    """Choose what goes: of every axis the units with the lowest scores, as many as a budget asks for.

    A budget is met from above, by the least excess that one unit allows: what is removed is at least what was asked,
    and no axis can get its best removed unit (with `multiple_of`, its last block of units) back without missing it.
    To that end, the units are put into one order, the shortest beginning of it that meets the budget is found by
    bisection, and then units are given back, the last of the order first, as long as the budget allows. Costs are
    counted exactly for every candidate, without running the model; nothing is changed in it.

    Args:
        graph: what may be cut.
        scores: axis name to floating tensor [axis.size], for every axis that takes part; higher = keep. Equal scores
            go in the order of axes, then of units. Whether scores compare across axes is the criterion's affair.
        remove: fraction to remove, in (0, 1), of the dense model's `macs`, `params`, `bytes` or `units` (of all axes,
            protected ones included; branch axes only where they take part). All of them are met.
        scope: "global" orders all units by score; "layerwise" takes the same share of every axis, up to rounding and
            what is given back; a mapping of axis names or patterns to ratios takes these shares (a name before a
            pattern, then the first pattern that matches), rounded up to whole units, needs no `remove` and is refused
            where it misses the one given. Axes that `graph.couplings` ties lose equal shares: the ratio of one is
            that of all, and one that is protected or of another kind keeps all whole.
        protect: patterns of axes, parameters or modules whose outputs stay whole; a module stands for all inside.
        floor: units that every axis keeps at least, or (a float in (0, 1)) the fraction of them; or a mapping of axis
            names or patterns to such floors (a name before a pattern, then the first pattern that matches), where
            other axes keep one unit.
        multiple_of: the kept count of every axis that loses units is a multiple of this; an axis of another size is
            left whole or cut to a multiple. Counts are rounded to the nearest allowed, half-way to the larger.
        kinds: kinds of axes that take part; all but "branch" if None.

    Raises:
        BudgetError: no allowed plan reaches the budget; the message says what can be reached.
        PlanError: scores, names, patterns or numbers that make no sense, or a cut that the model's code cannot follow.
    """
    check_graph(graph)
    floors = axis_floors(graph, floor) if isinstance(floor, Mapping) else {}
    limits = Limits(floor=1 if isinstance(floor, Mapping) else floor, multiple_of=multiple_of)
    axes = _some(graph, taking_part(graph, protect, kinds))
    found = candidates(graph, scores, axes, limits, floors)
    counting = _Counting(graph, axes, Spare(graph, found))
    budget = None if remove is None else Budget(remove, counting.figures(counting.nothing))
    if isinstance(scope, Mapping):
        ratios = axis_ratios(graph, scope, [axis.name for axis in axes])
        removed = _lowest(found, counts_by_ratio(found, ratios, limits), counting)
        if budget is not None and not budget.met(counting.figures(removed)):
            raise budget.refuse(counting.figures(removed), "with the ratios in scope")
    else:
        steps = _order(scope)(found)
        least = "by axis" if isinstance(floor, Mapping) else floor
        allowed = f"{len(axes)} of {len(graph.axes)} axes take part, floor={least}, multiple_of={multiple_of}"
        removed = _within(budget or Budget({}, {}), steps, counting, allowed)
    removed = counting.spare(removed)
    return graph.plan({axis.name: np.flatnonzero(removed[axis.atoms]) for axis in axes})


class _Counting:
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


def _within(budget: Budget, steps: Steps, counting: _Counting, allowed: str) -> BoolArray:
    """The roots that go so that the budget is met from above."""

    def met(removed: BoolArray) -> bool:
        return budget.met(counting.figures(removed))

    count = fewest(steps, counting.nothing, met)
    if count is None:
        everything = counting.nothing.copy()
        everything[steps.atoms] = True
        raise budget.refuse(counting.figures(everything), allowed)
    return give_back(steps, count, counting.nothing, met)


def _lowest(found: Sequence[Candidate], counts: Sequence[int], counting: _Counting) -> BoolArray:
    """The roots of that many first steps of each candidate."""
    removed = counting.nothing.copy()
    for candidate, count in zip(found, counts, strict=True):
        removed[candidate.atoms(0, count)] = True
    return removed


def _some(graph: Graph, axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    if not axes:
        got = f"none of the {len(graph.axes)} axes"
        cure = "Loosen protect and kinds; print(graph) lists all axes, and why the rest is fixed."
        raise PlanError("select", wanted="an axis that may be cut", got=got, cure=cure)
    return axes


def _order(scope: object) -> Callable[[Sequence[Candidate]], Steps]:
    if scope not in _ORDERS:
        cure = nearest_hint(scope, _ORDERS, "Take one of these.")
        raise PlanError("scope", wanted="global, layerwise or ratios by axis", got=repr(scope), cure=cure)
    return _ORDERS[str(scope)]
