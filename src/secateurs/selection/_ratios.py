"""A ratio for each axis."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from secateurs._errors import BudgetError, PlanError
from secateurs._nearest import nearest_hint
from secateurs.graph import Graph
from secateurs.selection._budget import checked_ratio, exact
from secateurs.selection._candidates import Candidate
from secateurs.selection._patterns import matching

__all__ = ["axis_ratios", "counts_by_ratio"]


def axis_ratios(graph: Graph, scope: Mapping[str, float], taking_part: Sequence[str]) -> dict[str, float | Fraction]:
    """The ratio of each axis that has one: by its name, else by the first pattern that matches it.

    Raises:
        PlanError: no ratio, one outside (0, 1), a pattern that matches no axis, or an axis named that may not be cut.
    """
    if not scope:
        cure = "Give a ratio for an axis or a pattern, for example scope={'*': 0.5}."
        raise PlanError("scope", wanted="a ratio for an axis", got="none", cure=cure)
    every = [axis.name for axis in graph.axes]
    ratios: dict[str, float | Fraction] = {}
    by_name_first = sorted(scope, key=lambda pattern: pattern not in every)
    for pattern in by_name_first:
        ratio, found = checked_ratio(scope[pattern], f"scope[{pattern!r}]"), matching(pattern, every)
        if not found:
            cure = nearest_hint(pattern, every, "print(graph) lists all axes.")
            raise PlanError(f"scope[{pattern!r}]", wanted="an axis or a pattern", got="no axis of that name", cure=cure)
        if not set(found) & set(taking_part):
            cure = "Take it out of scope, or out of protect; or let its kind take part with kinds."
            raise PlanError(f"scope[{pattern!r}]", wanted="an axis that may be cut", got="it may not be", cure=cure)
        for name in set(found) & set(taking_part):
            ratios.setdefault(name, ratio)
    return ratios


def counts_by_ratio(
    candidates: Sequence[Candidate], ratios: Mapping[str, float | Fraction], multiple_of: int
) -> list[int]:
    """How many steps each candidate loses: its ratio rounded up; with `multiple_of`, to the nearest allowed count.

    Raises:
        PlanError: different ratios for axes that are cut by equal shares.
        BudgetError: the floor does not let an axis lose that many.
    """
    counts = []
    for candidate in candidates:
        ratio = _ratio_of(candidate, ratios)
        if ratio is None:
            counts.append(0)
            continue
        asked = exact(ratio) * candidate.steps
        if multiple_of > 1:
            counts.append(_nearest(candidate.levels.tolist(), asked))
            continue
        count, most = math.ceil(asked), int(candidate.levels[-1])
        if count > most:
            size, share = candidate.axes[0].size, candidate.axes[0].size // candidate.steps
            wanted = f"{count * share} of {size} units removed"
            got = f"at most {most * share} ({most / candidate.steps:.4f} of them)"
            where, cure = f"scope of axis {candidate.axes[0].name!r}", "Ask for less, or loosen floor and cap."
            raise BudgetError(where, wanted=wanted, got=got, cure=cure)
        counts.append(count)
    return counts


def _ratio_of(candidate: Candidate, ratios: Mapping[str, float | Fraction]) -> float | Fraction | None:
    """The ratio of a candidate; axes that are cut by equal shares follow the one that has a ratio."""
    given = {axis.name: ratios[axis.name] for axis in candidate.axes if axis.name in ratios}
    if len(set(given.values())) > 1:
        got = ", ".join(f"{float(ratio):g} for {name!r}" for name, ratio in given.items())
        cure = "The code computes their sizes from each other: give one ratio for all."
        raise PlanError("scope", wanted="one ratio for axes that are cut by equal shares", got=got, cure=cure)
    return next(iter(given.values()), None)


def _nearest(levels: Sequence[int], asked: Fraction) -> int:
    """The allowed count nearest to the one asked for; of two equally near ones, that which keeps more."""
    return min(levels, key=lambda level: (abs(level - asked), level))
