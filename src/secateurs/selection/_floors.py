"""Floors of single axes, as a share that the groups of a residual network keep."""

import math
from fractions import Fraction
from typing import Literal, TypeAlias

from secateurs._errors import PlanError
from secateurs._nearest import nearest_hint
from secateurs.graph import Graph
from secateurs.selection._budget import checked_ratio, exact

__all__ = ["GroupFloors", "group_floors", "streams"]

GroupFloors: TypeAlias = Literal["adapt", "pruners"]
_RULES = ("adapt", "pruners")
_LONE = 2
"""Units that every other axis keeps."""


def group_floors(graph: Graph, ratio: float, rule: GroupFloors = "adapt") -> dict[str, int]:
    """The floors of the published subset-aware pruning, as a `floor` for `select`: axis name to units that stay.

    A stream (what blocks of a residual network add to) of g units keeps at least, where `ratio` p is removed,

    - "adapt", the tool of the paper: ceil(g p) for p < 0.5, else ceil(g (1 - p));
    - "pruners", the library that came later: ceil(g (1 - p)) for p <= 0.5, ceil(g p) for p < 0.85, else ceil(g / 2),
      "to keep networks wide".

    Every other axis keeps 2 units, one of a single unit that one.

    Args:
        graph: what may be cut.
        ratio: fraction of the parameters that is to be removed.
        rule: which of both.

    Raises:
        PlanError: a ratio outside (0, 1), or an unknown rule.
    """
    if rule not in _RULES:
        cure = nearest_hint(rule, _RULES, "Take one of these.")
        raise PlanError("group_floors", wanted=f"one of {', '.join(_RULES)}", got=repr(rule), cure=cure)
    share = _share(exact(checked_ratio(ratio, "group_floors")), rule)
    wide = streams(graph)
    return {
        axis.name: math.ceil(share * axis.size) if axis.name in wide else min(_LONE, axis.size)
        for axis in graph.axes
        if axis.kind != "branch"
    }


def _share(removed: Fraction, rule: GroupFloors) -> Fraction:
    half = Fraction(1, 2)
    if rule == "adapt":
        return min(removed, 1 - removed)
    if removed <= half:
        return 1 - removed
    return removed if removed < Fraction(85, 100) else half


def streams(graph: Graph) -> frozenset[str]:
    """Names of the axes that several branches add to."""
    owner = {int(atom): axis for axis in graph.axes for atom in axis.atoms}
    found = set()
    for branch in graph.axes:
        if branch.kind != "branch":
            continue
        for member in branch.members:
            label = graph.weights[member.path].labels[member.dim]
            assert label is not None
            axes = [owner.get(int(atom)) for atom in graph.algebra.resolve(label)[member.positions].reshape(-1)]
            found |= {axis.name for axis in axes if axis is not None and axis.kind != "branch"}
    return frozenset(found)
