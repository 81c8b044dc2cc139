"""How much is to go, in exact whole numbers."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from secateurs._errors import BudgetError, PlanError
from secateurs._nearest import nearest_hint

__all__ = ["KEYS", "Budget", "checked_ratio", "exact", "rounded_down"]

KEYS = ("macs", "params", "bytes", "units")


_MEASURED = "Measured figures: secateurs.prune(remove={'latency': 0.3}), or selection.select_measured."


class Budget:
    """Fractions to remove, as whole numbers against the dense figures.

    Args:
        remove: fraction to remove per key.
        dense: the figure of the dense model per key.

    Raises:
        PlanError: an unknown key, no key at all, or a ratio outside (0, 1).
    """

    def __init__(self, remove: Mapping[str, float | Fraction], dense: Mapping[str, int]) -> None:
        for key in remove:
            if key not in KEYS:
                cure = _MEASURED if key == "latency" else nearest_hint(key, KEYS, "Take one of these.")
                raise PlanError("remove", wanted=f"one of {', '.join(KEYS)}", got=repr(key), cure=cure)
        if not remove:
            cure = "Say how much is to go, for example remove={'macs': 0.5}."
            raise PlanError("remove", wanted=f"a ratio for one of {', '.join(KEYS)}", got="none", cure=cure)
        self._ratios = {key: checked_ratio(ratio, f"remove[{key!r}]") for key, ratio in remove.items()}
        self._dense = {key: dense[key] for key in self._ratios}
        # At least 1, so that a figure of 0 cannot be halved.
        self._needed = {k: max(1, math.ceil(exact(r) * self._dense[k])) for k, r in self._ratios.items()}

    def met(self, figures: Mapping[str, int]) -> bool:
        """Whether a model with these figures has lost enough of everything asked for."""
        return all(self._dense[key] - figures[key] >= needed for key, needed in self._needed.items())

    def refuse(self, least: Mapping[str, int], allowed: str) -> BudgetError:
        """The error for a budget that even `least`, the smallest figures that can be reached, do not meet."""
        missed = [key for key, needed in self._needed.items() if self._dense[key] - least[key] < needed]
        got = ", ".join(f"at most {rounded_down(self._dense[key], least[key]):.4f} of {key}" for key in missed)
        return BudgetError(
            ", ".join(f"remove[{key!r}]" for key in missed),
            wanted=", ".join(f"{float(self._ratios[key]):g} of {key} removed" for key in missed),
            got=f"{got} ({allowed})",
            cure="Ask for less, or loosen floor, cap, multiple_of, protect, kinds or scope.",
        )


def exact(ratio: float | Fraction) -> Fraction:
    """The decimal number that was written: 0.1 is a tenth, not the float next to it."""
    return ratio if isinstance(ratio, Fraction) else Fraction(repr(ratio))


def checked_ratio(ratio: Any, where: str) -> float | Fraction:
    """The ratio as a float; a fraction as it is.

    Raises:
        PlanError: not a number, or not between 0 and 1, both excluded.
    """
    if isinstance(ratio, Fraction) and 0 < ratio < 1:
        return ratio
    try:
        value = float("nan") if isinstance(ratio, (bool, str)) else float(ratio)
    except (TypeError, ValueError):
        value = float("nan")
    if not 0 < value < 1:
        cure = "Give the fraction to remove: 0.3 removes 30 %."
        raise PlanError(where, wanted="a ratio between 0 and 1", got=repr(ratio), cure=cure)
    return value


def rounded_down(dense: int, least: int) -> float:
    """The fraction between these figures to four places, rounded down, so that the figure told can be asked for."""
    return math.floor(10_000 * Fraction(dense - least, dense)) / 10_000 if dense else 0.0
