"""Several runs' figures as one."""

import statistics
from collections.abc import Sequence

__all__ = ["counts", "mean_spread", "spread_of", "with_spread"]


def spread_of(values: Sequence[float]) -> float | None:
    """Sample standard deviation; None for a single value."""
    return statistics.stdev(values) if len(values) > 1 else None


def with_spread(mean: float, spread: float | None, digits: int = 2) -> str:
    """Such as `91.25 ± 0.31`."""
    return f"{mean:.{digits}f}" + (f" ± {spread:.{digits}f}" if spread is not None else "")


def mean_spread(values: Sequence[float], digits: int = 2) -> str:
    """The same of some values; `-` where there are none."""
    return with_spread(statistics.fmean(values), spread_of(values), digits) if values else "-"


def counts(values: Sequence[int]) -> str:
    """Their mean as a count."""
    return f"{statistics.fmean(values):,.0f}" if values else "-"
