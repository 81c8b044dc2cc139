"""Which axes may lose units."""

from collections.abc import Iterable
from typing import get_args

from secateurs._errors import PlanError
from secateurs._nearest import nearest_hint
from secateurs.graph import Axis, Graph, Kind
from secateurs.selection._patterns import protected_axes

__all__ = ["taking_part"]


def taking_part(graph: Graph, protect: Iterable[str], kinds: Iterable[str] | None) -> tuple[Axis, ...]:
    """The axes of these kinds (all but branches if None) that no pattern protects; maybe none.

    Raises:
        PlanError: an unknown kind, or a pattern that matches nothing.
    """
    protected, known = protected_axes(graph, protect), get_args(Kind)
    wanted = set(known) - {"branch"} if kinds is None else {kinds} if isinstance(kinds, str) else set(kinds)
    for kind in sorted(wanted, key=str):
        if kind not in known:
            cure = nearest_hint(kind, known, "Take one of these.")
            raise PlanError("kinds", wanted=f"one of {', '.join(known)}", got=repr(kind), cure=cure)
    out = {axis.name for axis in graph.axes if axis.kind not in wanted or axis.name in protected}
    # Axes that are cut by equal shares take part together or not at all.
    out |= {name for coupling in graph.couplings if out & coupling.shares.keys() for name in coupling.shares}
    return tuple(axis for axis in graph.axes if axis.name not in out)
