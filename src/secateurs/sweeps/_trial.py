"""Trials and their runs, as sweep.json keeps them."""

import json
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, TypeAlias

from secateurs.sweeps._figures import FIGURES

__all__ = ["RunStatus", "Trial", "TrialRun", "best_trials", "trial_name"]

RunStatus: TypeAlias = Literal["waiting", "running", "finished", "failed", "stopped"]
_LONGEST_NAME = 60
_KEYS = ("number", "name", "status", "values", "figures", "spread", "runs", "errors")


@dataclass(frozen=True, kw_only=True)
class TrialRun:
    """One seed of a trial.

    Attributes:
        path: of its directory, from the sweep's.
        status: `stopped` is ended early, by the sweep's own rule.
        figures: of the network that it ended with.
        errors: what each failed attempt failed of; empty for attempts that were interrupted.
        reason: why it was ended early.
        epoch: the epoch after which it was.
        value: the best of its validation figure until then.
        seconds: spent in stages.
    """

    seed: int
    path: str
    status: RunStatus = "waiting"
    figures: Mapping[str, float]
    errors: tuple[str, ...] = ()
    reason: str | None = None
    epoch: int | None = None
    value: float | None = None
    seconds: float = 0.0

    @property
    def open(self) -> bool:
        """Whether it has to be carried out still."""
        return self.status in ("waiting", "running")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One value for each dimension, and its runs; `errors` is of a trial whose values make no recipe."""

    number: int
    name: str
    values: Mapping[str, Any]
    runs: tuple[TrialRun, ...]
    errors: tuple[str, ...] = ()

    @property
    def status(self) -> RunStatus:
        """Finished when all of its runs are; one that fails or is ended early decides for all."""
        found = {run.status for run in self.runs}
        for status in ("failed", "stopped", "running"):
            if status in found or (status == "failed" and self.errors):
                return status
        if found == {"waiting", "finished"}:
            return "running"
        return "finished" if found == {"finished"} else "waiting"

    @property
    def figures(self) -> dict[str, float]:
        """Means over its runs, of what all of them have."""
        each = [run.figures for run in self.runs]
        shared = [name for name in each[0] if all(name in figures for figures in each)] if each else []
        return {name: statistics.fmean(figures[name] for figures in each) for name in shared}

    @property
    def spread(self) -> dict[str, float]:
        """Sample standard deviations over its runs, where there are several."""
        if len(self.runs) < 2:
            return {}
        return {name: statistics.stdev(run.figures[name] for run in self.runs) for name in self.figures}

    def plain(self) -> dict[str, Any]:
        """As JSON holds it; `from_plain` gives the trial back."""
        derived = {"status": self.status, "figures": self.figures, "spread": self.spread}
        plain: dict[str, Any] = json.loads(json.dumps({**asdict(self), **derived}))
        return {name: plain[name] for name in _KEYS}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """What `plain` has made."""
        runs = tuple(TrialRun(**{**run, "errors": tuple(run["errors"])}) for run in plain["runs"])
        kept = {name: plain[name] for name in ("number", "name", "values")}
        return cls(**kept, runs=runs, errors=tuple(plain["errors"]))


def trial_name(number: int, values: Mapping[str, Any]) -> str:
    """The number and the values, as a folder may be called."""
    words = [re.sub(r"[^A-Za-z0-9._]+", "-", _word(value)).strip("-.") for value in values.values()]
    text = "-".join(word for word in words if word)
    return f"{number:04d}-{text}"[:_LONGEST_NAME].rstrip("-.") if text else f"{number:04d}"


def best_trials(trials: Sequence[Trial], objectives: Sequence[str]) -> list[Trial]:
    """The finished trials that no other one equals or exceeds in all objectives while it exceeds in one.

    With one objective, those with the best value: several where they are equal.
    """
    known = [
        (trial, tuple(FIGURES[name].better(trial.figures[name]) for name in objectives))
        for trial in trials
        if trial.status == "finished" and all(math.isfinite(trial.figures.get(name, math.nan)) for name in objectives)
    ]
    front: list[tuple[float, ...]] = []
    for point in sorted({point for _, point in known}, reverse=True):
        # Whatever exceeds it in one and in none falls short of it has come before it in this order.
        if not any(all(a >= b for a, b in zip(other, point, strict=True)) for other in front):
            front.append(point)
    return [trial for trial, point in known if point in front]


def _word(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "-".join(map(_word, value))
    return str(value)
