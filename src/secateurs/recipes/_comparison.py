"""The table over the runs of a study."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["comparison"]

_FIGURES = (
    "test_accuracy",
    "validation_accuracy",
    "test_elbo",
    "validation_elbo",
    "test_reconstruction",
    "test_kld",
    "params",
    "macs",
    "bytes",
    "latency_ms",
)


def comparison(summaries: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Mean and spread of every figure over the seeds of each variant."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for name, summary in summaries:
        grouped.setdefault(name, []).append(summary)
    return {
        variant: {
            side: _statistics([summary[side] for summary in each if summary[side]]) for side in ("before", "after")
        }
        for variant, each in grouped.items()
    }


def _statistics(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | int | None]]:
    """`spread` is the sample standard deviation, and None for a single run."""
    found: dict[str, dict[str, float | int | None]] = {}
    for name in _FIGURES:
        values = [row[name] for row in rows if name in row]
        if values:
            spread = statistics.stdev(values) if len(values) > 1 else None
            found[name] = {"mean": statistics.fmean(values), "spread": spread, "runs": len(values)}
    return found
