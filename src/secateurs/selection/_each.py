"""The same share of every axis."""

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction

from secateurs._errors import PlanError
from secateurs._nearest import nearest_hint
from secateurs.graph import Graph
from secateurs.selection._budget import checked_ratio, exact
from secateurs.selection._patterns import matching
from secateurs.selection._taking_part import taking_part

__all__ = ["each_axis"]


def each_axis(
    graph: Graph,
    ratio: float,
    *,
    widths: Mapping[str, int] | None = None,
    protect: Iterable[str] = (),
    kinds: Iterable[str] | None = None,
) -> dict[str, float]:
    """A `scope` for `select` that takes `ratio` of the units of every axis as it is now, rounded up.

    Every axis keeps one unit and what `widths` says; one that has no more than that is not in the result, so that
    the same call can be made again and again until nothing is left to take. Axes that are cut by equal shares stop
    together.

    Args:
        graph: what may be cut.
        ratio: fraction of the units of each axis.
        widths: axis names or patterns to the units that such an axis keeps at least; of several, the first counts.
            A pattern may match no axis: one of a single unit is no axis any more.
        protect: as for `select`.
        kinds: as for `select`.

    Raises:
        PlanError: a ratio outside (0, 1), widths below 1, or patterns and kinds that make no sense.

    >>> graph = trace(nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 1)), args=(torch.zeros(1, 4),))
    >>> each_axis(graph, 0.3)  # two of five
    {'0': 0.3}
    """
    asked = exact(checked_ratio(ratio, "each_axis"))
    axes = {axis.name: axis for axis in taking_part(graph, protect, kinds)}
    least = _least(list(axes), widths or {})
    coupled = {name: coupling for coupling in graph.couplings for name in coupling.shares}
    found: dict[str, float] = {}
    for name, axis in axes.items():
        if name not in coupled:
            found |= _scope(name, axis.size, asked, least[name])
        elif name == next(iter(coupled[name].shares)):
            steps, shares = coupled[name].steps, coupled[name].shares
            # In steps, what every one of these axes keeps at least.
            kept = max(math.ceil(Fraction(least[other], share)) for other, share in shares.items())
            found |= _scope(name, steps, asked, kept)
    return found


def _scope(name: str, size: int, ratio: Fraction, least: int) -> dict[str, float]:
    count = min(math.ceil(ratio * size), size - max(least, 1))
    # Half a unit less, because `select` rounds up and no float says exactly 5 of 6.
    return {name: (count - 0.5) / size} if count > 0 else {}


def _least(names: list[str], widths: Mapping[str, int]) -> dict[str, int]:
    least: dict[str, int] = {}
    for pattern, width in widths.items():
        if isinstance(width, bool) or not isinstance(width, int) or width < 1:
            cure = nearest_hint(pattern, names, "Say how many units such an axis keeps at least.")
            raise PlanError(f"widths[{pattern!r}]", wanted="an integer of at least 1", got=repr(width), cure=cure)
        for name in matching(pattern, names):
            least.setdefault(name, width)
    return {name: least.get(name, 1) for name in names}
