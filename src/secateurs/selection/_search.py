"""The fewest steps that meet a budget."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from secateurs.selection._steps import Steps

__all__ = ["fewest", "give_back"]

BoolArray = npt.NDArray[np.bool_]
Met = Callable[[BoolArray], bool]
"""Whether the budget is met once the marked roots are removed; never undone by removing more."""


def fewest(steps: Steps, nothing: BoolArray, met: Met) -> int | None:
    """The least number of first steps that meet the budget, by bisection; None where all of them do not."""
    if not met(_marks(steps, nothing, len(steps))):
        return None
    low, high = 0, len(steps)  # `low` steps do not meet it, `high` steps do
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if met(_marks(steps, nothing, middle)) else (middle, high)
    return high


def give_back(steps: Steps, count: int, nothing: BoolArray, met: Met) -> BoolArray:
    """The roots that go: those of the first `count` steps, less what the budget can do without.

    From the last step to the first, each is given back if the budget is met without it. One refused ends its axis:
    the units left there rank lower, and each refusal holds on, as what is given back later only brings the budget
    nearer. So in the end no axis can get its next step back.
    """
    removed = _marks(steps, nothing, count)
    open_ones = set(steps.candidate[:count].tolist())
    for step in range(count - 1, -1, -1):
        own = int(steps.candidate[step])
        if own not in open_ones:
            continue
        block = steps.atoms[steps.starts[step] : steps.starts[step + 1]]
        removed[block] = False
        if not met(removed):
            removed[block] = True
            open_ones.discard(own)
            if not open_ones:
                break
    return removed


def _marks(steps: Steps, nothing: BoolArray, count: int) -> BoolArray:
    removed = nothing.copy()
    removed[steps.atoms[: steps.starts[count]]] = True
    return removed
