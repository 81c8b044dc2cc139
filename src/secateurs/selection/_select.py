"""From scores to a plan."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from torch import Tensor

from secateurs._errors import PlanError
from secateurs._nearest import nearest_hint
from secateurs.criteria import check_graph
from secateurs.graph import Graph, Plan
from secateurs.selection._budget import Budget
from secateurs.selection._candidates import Candidate
from secateurs.selection._cost_order import Per, cost_steps
from secateurs.selection._prepared import Counting, Prepared, prepared
from secateurs.selection._ratios import axis_ratios, counts_by_ratio
from secateurs.selection._rules import Rules
from secateurs.selection._search import Met, fewest, give_back
from secateurs.selection._steps import Steps, global_steps, layerwise_steps

__all__ = ["select"]

BoolArray = npt.NDArray[np.bool_]
_ORDERS: Mapping[str, Callable[[Sequence[Candidate]], Steps]] = {"global": global_steps, "layerwise": layerwise_steps}


def select(
    graph: Graph,
    scores: Mapping[str, Tensor],
    remove: Mapping[str, float | Fraction] | None = None,
    *,
    scope: Literal["global", "layerwise"] | Mapping[str, float] = "global",
    protect: Iterable[str] = (),
    floor: float | Mapping[str, float] = 1,
    cap: float | Mapping[str, float] | None = None,
    multiple_of: int = 1,
    per: Per | None = None,
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
        cap: fraction of every axis that goes at most; or a mapping of axis names or patterns to such fractions, as for
            `floor`, where other axes have none.
        multiple_of: the kept count of every axis that loses units is a multiple of this; an axis of another size is
            left whole or cut to a multiple. Counts are rounded to the nearest allowed, half-way to the larger.
        per: of scope "global", what scores are divided by before they are compared: the "macs" or "params" that the
            model loses with a unit once all units before it are gone. For scores that say how much harm a unit's
            going does: the least harm for what is saved. A score below 0 is multiplied instead.
        kinds: kinds of axes that take part; all but "branch" if None.

    Raises:
        BudgetError: no allowed plan reaches the budget; the message says what can be reached.
        PlanError: scores, names, patterns or numbers that make no sense, or a cut that the model's code cannot follow.
    """
    check_graph(graph)
    rules = Rules(protect=protect, floor=floor, cap=cap, multiple_of=multiple_of, kinds=kinds)
    ready = prepared(graph, scores, rules)
    counting = ready.counting
    budget = None if remove is None else Budget(remove, counting.figures(counting.nothing))
    if isinstance(scope, Mapping):
        _refuse_per(per)
        ratios = axis_ratios(graph, scope, [axis.name for axis in ready.axes])
        removed = _lowest(ready.found, counts_by_ratio(ready.found, ratios, multiple_of), counting)
        if budget is not None and not budget.met(counting.figures(removed)):
            raise budget.refuse(counting.figures(removed), "with the ratios in scope")
    else:
        removed = _within(budget or Budget({}, {}), _order(graph, scope, per), ready)
    removed = counting.spare(removed)
    return graph.plan({axis.name: np.flatnonzero(removed[axis.atoms]) for axis in ready.axes})


_Order = Callable[[Sequence[Candidate], Met], Steps]


def _within(budget: Budget, order: _Order, ready: Prepared) -> BoolArray:
    """The roots that go so that the budget is met from above."""
    counting = ready.counting

    def met(removed: BoolArray) -> bool:
        return budget.met(counting.figures(removed))

    if not met(ready.everything):
        raise budget.refuse(counting.figures(ready.everything), ready.told)
    steps = order(ready.found, met)
    count = fewest(steps, counting.nothing, met)
    assert count is not None  # all steps together are everything
    return give_back(steps, count, counting.nothing, met)


def _lowest(found: Sequence[Candidate], counts: Sequence[int], counting: Counting) -> BoolArray:
    """The roots of that many first steps of each candidate."""
    removed = counting.nothing.copy()
    for candidate, count in zip(found, counts, strict=True):
        removed[candidate.atoms(0, count)] = True
    return removed


def _order(graph: Graph, scope: object, per: Per | None) -> _Order:
    if scope not in _ORDERS:
        cure = nearest_hint(scope, _ORDERS, "Take one of these.")
        raise PlanError("scope", wanted="global, layerwise or ratios by axis", got=repr(scope), cure=cure)
    if per is not None and scope == "global":
        if per not in get_args(Per):
            cure = nearest_hint(per, get_args(Per), "Take one of these, or None.")
            raise PlanError("per", wanted=f"one of {', '.join(get_args(Per))}, or None", got=repr(per), cure=cure)
        return lambda found, met: cost_steps(graph, found, per, met)
    _refuse_per(per)
    return lambda found, met: _ORDERS[str(scope)](found)  # noqa: ARG005 - the whole order, whatever the budget


def _refuse_per(per: Per | None) -> None:
    if per is not None:
        cure = "Leave per out, or take scope='global'."
        raise PlanError(
            "per", wanted="scope='global', which compares units of different axes", got="another", cure=cure
        )
