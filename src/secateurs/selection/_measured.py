"""Budgets of figures that are measured, not counted: latency, energy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from torch import Tensor

from secateurs._errors import BudgetError, PlanError
from secateurs.graph import Graph, Plan
from secateurs.selection._budget import checked_ratio, exact
from secateurs.selection._reachable import reachable
from secateurs.selection._select import select

__all__ = ["Measured", "MeasuredChoice", "Probing", "select_measured"]


@dataclass(frozen=True, kw_only=True)
class Probing:
    """How a measured figure is approached.

    Attributes:
        name: of the figure, for messages.
        tolerance: the ratio found may be larger than the one asked for by this much.
        probes: measurements at most.
    """

    name: str = "latency"
    tolerance: float = 0.02
    probes: int = 8

    def __post_init__(self) -> None:
        good = {
            "tolerance": (0 < self.tolerance < 1, "between 0 and 1"),
            "probes": (self.probes >= 2, "at least 2"),
        }
        for option, (fits, wanted) in good.items():
            if not fits:
                raise PlanError(option, wanted=wanted, got=repr(getattr(self, option)), cure=f"Correct {option}.")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One measurement: the fraction of multiply-adds that the plan removes, and of the measured figure."""

    macs: float
    removed: float


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredChoice:
    """What was found.

    Attributes:
        plan: the one with the least multiply-adds removed of those measured to meet the budget.
        removed: fraction of the measured figure that it removes.
        within: whether that is at most the tolerance above what was asked for. It is not where a figure falls in
            steps larger than that, where another part of the budget asks for more, or where probes ran out.
        probes: all measurements, in their order.
    """

    plan: Plan
    removed: float
    within: bool
    probes: tuple[Measured, ...]


def select_measured(
    graph: Graph,
    scores: Mapping[str, Tensor],
    ratio: float,
    measure: Callable[[Plan], float],
    *,
    remove: Mapping[str, float] | None = None,
    probing: Probing | None = None,
    **rules: Any,
) -> MeasuredChoice:
    """Choose what goes so that a measured figure falls by `ratio`, and the counted ones of `remove` by theirs.

    Multiply-adds lead the way: plans that remove more and more of them are measured, first the one that removes the
    ratio of them, then where a straight line between the nearest measurements crosses the ratio asked for, or half-way
    between them where the line has not helped. It ends with the first plan that removes at least the ratio and at
    most the tolerance more, or with the smallest cut that did enough once `probes` are spent or no plan lies between.

    Args:
        graph: what may be cut.
        scores: as for `select`.
        ratio: fraction of the measured figure to remove.
        measure: the fraction of the dense model's figure that the cut model has lost; 0.3 is 30 % faster. The same
            plan is never measured twice.
        remove: what must go besides, counted, as for `select`.
        probing: how close it must come, and how often it may measure.
        rules: the other options of `select`; `scope` by mapping leaves nothing to choose and is refused.

    Raises:
        BudgetError: not even everything that may go removes enough, or enough was not found in so many probes.
        PlanError: as `select` does.
    """
    if isinstance(rules.get("scope"), Mapping):
        cure = "Take scope='global' or 'layerwise'."
        raise PlanError("scope", wanted="a scope that leaves a choice", got="ratios by axis", cure=cure)
    asked = float(exact(checked_ratio(ratio, "ratio")))
    return _Search(graph, scores, measure, remove or {}, rules).to(asked, probing or Probing())


@dataclass(frozen=True, kw_only=True)
class _End:
    macs: int
    gain: float


class _Search:
    """Plans by the multiply-adds that they remove, each measured once."""

    def __init__(
        self,
        graph: Graph,
        scores: Mapping[str, Tensor],
        measure: Callable[[Plan], float],
        remove: Mapping[str, float],
        rules: Mapping[str, Any],
    ) -> None:
        self._graph, self._scores, self._measure, self._remove, self._rules = graph, scores, measure, remove, rules
        free = {key: value for key, value in rules.items() if key not in ("scope", "per")}
        self._macs = reachable(graph, scores, **free)["macs"]
        self._known: dict[int, float] = {}
        self.probes: list[Measured] = []

    def to(self, asked: float, probing: Probing) -> MeasuredChoice:
        """The smallest cut that does enough."""
        # Asking for `low` multiply-adds does too little, for `high` enough.
        low, high = _End(macs=0, gain=0.0), None
        best: tuple[int, float, Plan] | None = None
        want: int | None = min(round(asked * self._macs.dense), self._macs.most)
        bisect = False
        while want is not None and len(self.probes) < probing.probes:
            if best is None and len(self.probes) == probing.probes - 1:
                want = self._macs.most  # the last chance to find that there is enough
            plan, gone, gain = self._probe(want)
            if gain >= asked:
                high = _End(macs=want, gain=gain)
                best = min(best or (gone, gain, plan), (gone, gain, plan), key=lambda found: found[0])
                if gain - asked <= probing.tolerance:
                    break
            else:
                low = _End(macs=max(want, gone), gain=gain)
            want = self._next(low, high, asked, bisect=bisect)
            bisect = not bisect
        return self._settled(best, asked, probing)

    def _next(self, low: "_End", high: "_End | None", asked: float, *, bisect: bool) -> int | None:
        """How many multiply-adds to ask for next; None where nothing lies between. The ends come closer each time."""
        if high is None:
            # Where the gain so far leads to, but at least half-way to everything.
            line = round(low.macs * asked / low.gain) if low.gain > 0 else 0
            half_way = low.macs + (self._macs.most - low.macs + 1) // 2
            return min(max(line, half_way), self._macs.most) if low.macs < self._macs.most else None
        width = high.macs - low.macs
        if width <= max(1, self._macs.least):
            return None
        if bisect or high.gain <= low.gain:
            return low.macs + width // 2
        line = low.macs + round(width * (asked - low.gain) / (high.gain - low.gain))
        edge = max(1, width // 8)  # off the ends, or the same plan would come again
        return min(max(line, low.macs + edge), high.macs - edge)

    def _probe(self, want: int) -> tuple[Plan, int, float]:
        """The plan that removes so many multiply-adds, how many it does, and the fraction of the figure."""
        remove: dict[str, float | Fraction] = dict(self._remove)
        share = Fraction(max(1, min(want, self._macs.most)), self._macs.dense)
        remove["macs"] = max(share, exact(self._remove["macs"])) if "macs" in self._remove else share
        plan = select(self._graph, self._scores, remove, **self._rules)
        gone = plan.before.macs - plan.cost.macs
        if gone not in self._known:
            self._known[gone] = self._measure(plan)
            self.probes.append(Measured(macs=gone / plan.before.macs, removed=self._known[gone]))
        return plan, gone, self._known[gone]

    def _settled(self, best: tuple[int, float, Plan] | None, asked: float, probing: Probing) -> MeasuredChoice:
        if best is None:
            most = max((probe.removed for probe in self.probes), default=0.0)
            raise BudgetError(
                f"remove[{probing.name!r}]",
                wanted=f"{asked:g} of {probing.name} removed",
                got=f"at most {most:.4f}, measured, with {max(p.macs for p in self.probes):.4f} of macs removed",
                cure="Ask for less, or loosen floor, cap, multiple_of, protect or kinds.",
            )
        _, gain, plan = best
        within = gain - asked <= probing.tolerance
        return MeasuredChoice(plan=plan, removed=gain, within=within, probes=tuple(self.probes))
