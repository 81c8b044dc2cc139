"""Early stopping: whether a run falls behind what other trials had reached after as many epochs."""

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secateurs.sweeps._config import Stop

__all__ = ["StoppedEarly", "Verdict", "curve_of", "other_curves", "stopper", "verdict"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The run ends: after which epoch, with the best that it had reached, and why."""

    epoch: int
    best: float
    reason: str


class StoppedEarly(KeyboardInterrupt):
    """The sweep's rule ends the run. A `KeyboardInterrupt`, so that nothing takes it for a failure."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__(f"interrupted by early stopping: {verdict.reason}")


def verdict(rule: Stop, curve: Sequence[float], others: Sequence[Sequence[float]]) -> Verdict | None:
    """Whether the run with this curve should have ended, and after which epoch; None where it goes on.

    Args:
        curve: its validation figure after each epoch, more is better.
        others: the same of the runs of other trials.
    """
    judge = _behind_the_median if rule.rule == "median" else _not_among_the_first
    for epoch in range(rule.after, len(curve) + 1):
        reached = [_best(other, epoch) for other in others if len(other) >= epoch]
        reason = judge(rule, epoch, _best(curve, epoch), reached)
        if reason is not None:
            return Verdict(epoch=epoch, best=_best(curve, epoch), reason=f"after epoch {epoch}, {reason}")
    return None


def curve_of(run: Path) -> list[float]:
    """The validation figure of each epoch in DIR/metrics.jsonl, all stages after one another, more is better."""
    return [value for row in _rows(run / "metrics.jsonl") if (value := _value(row)) is not None]


def other_curves(home: Path, trial: str) -> list[list[float]]:
    """Those of all runs of other trials below `home`, as far as they have got."""
    files = sorted(home.glob("*/*/metrics.jsonl"))
    return [curve_of(file.parent) for file in files if file.parent.parent.name != trial]


def stopper(rule: Stop, home: Path, run: Path) -> Callable[[], None]:
    """What is asked after every epoch of the run; raises `StoppedEarly` when it falls behind.

    It reads what the other runs have written, so that it needs no word from anybody: on a cluster, a trial's machine
    knows the others by the file system that all share.
    """

    def judge() -> None:
        found = verdict(rule, curve_of(run), other_curves(home, run.parent.name))
        if found is not None:
            raise StoppedEarly(found)

    return judge


def _behind_the_median(rule: Stop, epoch: int, best: float, reached: Sequence[float]) -> str | None:  # noqa: ARG001 - as the other
    if len(reached) < rule.least:
        return None
    middle = statistics.median(reached)
    return f"{best:.4f} is below {middle:.4f}, the median of {len(reached)} others" if best < middle else None


def _not_among_the_first(rule: Stop, epoch: int, best: float, reached: Sequence[float]) -> str | None:
    if not _is_rung(rule, epoch):
        return None
    places = math.ceil((len(reached) + 1) / rule.factor)
    before = sum(other > best for other in reached)
    if before < places:
        return None
    return f"{best:.4f} has place {before + 1} of {len(reached) + 1}, and {places} go on"


def _is_rung(rule: Stop, epoch: int) -> bool:
    rung = rule.after
    while rung < epoch:
        rung *= rule.factor
    return rung == epoch


def _best(curve: Sequence[float], epoch: int) -> float:
    return max(curve[:epoch])


def _value(row: Mapping[str, Any]) -> float | None:
    """Of an autoencoder, less loss is better."""
    sign, found = 1.0, row.get("validation_accuracy")
    if found is None:
        sign, found = -1.0, row.get("validation_loss")
    if found is None:
        return None
    value = sign * float(found)
    return -math.inf if math.isnan(value) else value


def _rows(file: Path) -> list[Mapping[str, Any]]:
    try:
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):  # not there yet; a damaged file is the business of the run that it belongs to
        return []
