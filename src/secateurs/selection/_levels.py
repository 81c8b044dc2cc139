"""The levels of iterative pruning: the same share of what is left, again and again."""

import math
from fractions import Fraction

from secateurs.selection._budget import checked_ratio, exact

__all__ = ["removals", "sparsities"]


def sparsities(ratio: float, *, density: float) -> tuple[float, ...]:
    """Percent removed after each level, 100 (1 - (1 - ratio)^n) for n = 1, 2, ..., rounded to two places.

    Args:
        ratio: of what is left, removed by each level.
        density: levels end before less than this fraction of all is left.

    >>> sparsities(0.05, density=0.8)
    (5.0, 9.75, 14.26, 18.55)

    Raises:
        PlanError: a ratio or a density that is not between 0 and 1.
    """
    stays, least = 1 - exact(checked_ratio(ratio, "ratio")), exact(checked_ratio(density, "density"))
    found: list[float] = []
    left = stays
    while left >= least:
        found.append(float(round(100 * (1 - left), 2)))
        left *= stays
    return tuple(found)


def removals(units: int, ratio: float, levels: int) -> tuple[int, ...]:
    """How many of `units` each of so many levels removes: the ratio of what is left, rounded up.

    >>> removals(672, 0.05, 3)
    (34, 32, 31)

    Raises:
        PlanError: a ratio that is not between 0 and 1.
    """
    asked, left, found = Fraction(exact(checked_ratio(ratio, "ratio"))), units, []
    for _ in range(levels):
        found.append(math.ceil(asked * left))
        left -= found[-1]
    return tuple(found)
