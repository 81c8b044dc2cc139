"""Numbers as people read them, and the ticks of an axis."""

import math
from collections.abc import Sequence
from typing import Any

__all__ = ["bytes_text", "finite", "log_ticks", "percent", "plain", "points", "seconds_text", "short", "spans", "ticks"]

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def finite(value: Any) -> float | None:
    """The number that a file holds there; None for anything else, NaN and infinity included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer beyond any float
        return None


def short(value: float | None, unit: str = "") -> str:
    """Three figures and a prefix: 373360 is `373 k`."""
    if value is None:
        return "-"
    for size, prefix in _PREFIXES:
        if abs(value) >= 0.9995 * size:
            return f"{_three(value / size)} {prefix}{unit}"
    return f"{_three(value)}{f' {unit}' if unit else ''}"


def bytes_text(value: float | None) -> str:
    """The same of bytes, in powers of ten."""
    return short(value, "B")


def percent(ratio: float | None, digits: int = 1) -> str:
    """A fraction as `51.9 %`."""
    return "-" if ratio is None else f"{100 * ratio:.{digits}f} %"


def points(difference: float | None) -> str:
    """A signed difference of percentages."""
    return "-" if difference is None else f"{difference:+.2f}"


def seconds_text(value: float | None) -> str:
    """Such as `3.1 s`, `12 min`, `4.5 h`."""
    if value is None:
        return "-"
    if value < 120:
        return f"{_three(value)} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def plain(value: float) -> str:
    """For coordinates: two digits, no zeros behind."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About so many round numbers from `low` to `high`."""
    span = high - low
    if not span > 0:
        return [low]
    raw = span / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten, fewer where there are many of them."""
    for digits in ((1, 2, 5), (1, 3), (1,)):
        found = [
            digit * 10.0**power
            for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            for digit in digits
            if low <= digit * 10.0**power <= high
        ]
        if len(found) <= 7:
            break
    return found if len(found) > 1 else _between(low, high)


def _between(low: float, high: float) -> list[float]:
    """Less than a decade: plain steps."""
    return ticks(low, high, 4)


def _three(value: float) -> str:
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) < 0.01:
        return f"{value:.1e}"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{value:.{max(digits, 0)}f}"


def spans(values: Sequence[float], margin: float) -> tuple[float, float]:
    """From the least to the largest, with a margin; never empty."""
    low, high = min(values), max(values)
    room = margin * (high - low) or abs(high) * margin or 1.0
    return low - room, high + room
