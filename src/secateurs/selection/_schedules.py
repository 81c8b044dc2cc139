"""One budget over several cuts: how much is gone after each."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Literal, TypeAlias, get_args

from secateurs._errors import PlanError
from secateurs._nearest import nearest_hint
from secateurs.selection._budget import checked_ratio, exact

__all__ = ["Schedule", "cut_ratios", "still_to_remove"]

Schedule: TypeAlias = Literal["linear", "cubic", "exponential", "geometric"]


def cut_ratios(ratio: float | Fraction, cuts: int, schedule: Schedule = "geometric") -> tuple[Fraction, ...]:
    """The fraction of the dense model that is gone after each of so many cuts; after the last, exactly `ratio`.

    With R = `ratio` and t = k / `cuts` after cut k:

    - "linear": R t;
    - "cubic": R (1 - (1 - t)^3), large cuts first (Zhu and Gupta, 2017);
    - "exponential": R (1 - a^t) / (1 - a), three quarters of R after an eighth of the cuts (asymptotic soft filter
      pruning, He et al., 2019);
    - "geometric": 1 - (1 - p)^k, the same share p = 1 - (1 - R)^(1 / cuts) of what is left each time (SynFlow, Tanaka
      et al., 2020).

    Args:
        ratio: fraction to remove in all.
        cuts: how many.
        schedule: which of these.

    Raises:
        PlanError: a ratio outside (0, 1), fewer than one cut, or an unknown schedule.

    Example:
        >>> [float(ratio) for ratio in cut_ratios(0.8, 2, "cubic")]
        [0.7, 0.8]
    """
    if schedule not in get_args(Schedule):
        cure = nearest_hint(schedule, get_args(Schedule), "Take one of these.")
        raise PlanError("schedule", wanted=f"one of {', '.join(get_args(Schedule))}", got=repr(schedule), cure=cure)
    if isinstance(cuts, bool) or not isinstance(cuts, int) or cuts < 1:
        raise PlanError("cuts", wanted="an integer of at least 1", got=repr(cuts), cure="Say over how many cuts.")
    all_ = exact(checked_ratio(ratio, "ratio"))
    return (*(_after(Fraction(cut, cuts), all_, schedule) for cut in range(1, cuts)), all_)


def still_to_remove(
    ratios: Mapping[str, Fraction], start: Mapping[str, int], now: Mapping[str, int]
) -> dict[str, Fraction]:
    """What the next cut takes off the model as it is now, as a `remove` for `select`: exact in whole numbers.

    What earlier cuts took too much is taken off, so that over all cuts a budget is met as by one: from above, by the
    least excess that one unit allows. A figure that is low enough already is not in the result.

    Args:
        ratios: per figure, the fraction of the model at the start that is to be gone after the cut.
        start: figures of the model before the first cut.
        now: the same before this one.
    """
    found = {}
    for key, ratio in ratios.items():
        # As a single budget is counted: at least 1, and never all.
        gone = min(max(1, math.ceil(ratio * start[key])), start[key] - 1)
        more = now[key] - (start[key] - gone)
        if more > 0:
            found[key] = Fraction(more, now[key])
    return found


# What is left of the way to R after all cuts falls as a^t; a solves 1 - a^(1/8) = 3/4 (1 - a).
_AN_EIGHTH = 0.25001144828495603


def _after(part: Fraction, ratio: Fraction, schedule: Schedule) -> Fraction:
    if schedule == "linear":
        return ratio * part
    if schedule == "cubic":
        return ratio * (1 - (1 - part) ** 3)
    if schedule == "exponential":
        base = _AN_EIGHTH**8
        return ratio * Fraction((1 - base ** float(part)) / (1 - base))
    return 1 - Fraction(float(1 - ratio) ** float(part))
