"""What a run tells its trackers, and how they are kept from holding it up."""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from secateurs.recipes.trackers._base import About, Status, Tracker, numbers
from secateurs.recipes.trackers._courier import Courier
from secateurs.recipes.trackers._mlflow import MlflowTracker
from secateurs.recipes.trackers._section import TrackersSection
from secateurs.recipes.trackers._tensorboard import TensorBoardTracker
from secateurs.recipes.trackers._wandb import WandbTracker

if TYPE_CHECKING:
    from secateurs.recipes.stages import Step

__all__ = ["Tracking", "new_id", "open_tracking"]

_PATIENCE = {"finished": 20.0, "failed": 10.0}
"""Seconds that the end of a run waits for slow trackers; one that failed is in more of a hurry."""


def new_id() -> str:
    """An id that no other run has. Not from a seeded generator: equal recipes are different runs."""
    return uuid.uuid4().hex[:16]


class Tracking:
    """All trackers of one run; none is an ordinary number of them.

    Epochs are counted over all stages, so that the curve goes on where a cut has left it.
    """

    def __init__(self, couriers: Sequence[Courier], steps: Sequence["Step"], notify: Callable[[str], None]) -> None:
        self._couriers, self._notify = list(couriers), notify
        self._first: dict[str, int] = {}
        done = 0
        for step in steps:
            self._first[step.name] = done
            done += int(getattr(step.stage, "epochs", 0))
        self._after = dict(zip(self._first, [*self._first.values()][1:], strict=False))
        self._total = done

    def epoch(self, step: str, row: Mapping[str, Any]) -> None:
        """One row of metrics.jsonl."""
        number, values = self._first[step] + int(row["epoch"]), _metrics(row)
        self._bring(lambda tracker: tracker.epoch(number, values))

    def stage(self, step: str, results: Mapping[str, Any]) -> None:
        """The results of a finished stage."""
        number, values = self._after.get(step, self._total), numbers(results, step)
        self._bring(lambda tracker: tracker.results(number, values))

    def summary(self, summary: Mapping[str, Any]) -> None:
        """Before and after."""
        values = numbers(summary, "summary")
        self._bring(lambda tracker: tracker.results(self._total, values))

    def catch_up(self, rows: Iterable[Mapping[str, Any]], stages: Iterable[Mapping[str, Any]]) -> None:
        """Everything that earlier processes did; trackers pass over what they have."""
        finished = {entry["name"]: entry["results"] for entry in stages if entry["status"] == "finished"}
        by_step: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            by_step.setdefault(str(row["stage"]), []).append(row)
        for step in self._first if self._couriers else ():
            for row in by_step.get(step, []):
                self.epoch(step, row)
            if step in finished:
                self.stage(step, finished[step])

    def close(self, status: Status) -> None:
        """Wait a while for everything to arrive."""
        for courier in self._couriers:
            courier.close(status)
        until = time.monotonic() + _PATIENCE[status]
        for courier in self._couriers:
            if not courier.join(max(until - time.monotonic(), 0.0)) and courier.failure is None:
                self._notify(f"warning: {courier.name} did not take everything in time; metrics.jsonl has it")
        self._complain()
        self._couriers.clear()

    def _bring(self, what: Callable[[Tracker], None]) -> None:
        for courier in self._couriers:
            courier.bring(what)
        self._complain()

    def _complain(self) -> None:
        """Once for each that failed. From the thread that trains: what is told there stays in order."""
        for courier in [courier for courier in self._couriers if courier.failure is not None]:
            self._notify(f"warning: no more tracking by {courier.name}, the run goes on ({courier.failure})")
            self._couriers.remove(courier)


def open_tracking(
    section: TrackersSection, about: About, steps: Sequence["Step"], notify: Callable[[str], None]
) -> Tracking:
    """Start every tracker that is asked for, each in a thread of its own."""
    trackers: dict[str, Tracker] = {}
    if section.tensorboard is not None:
        trackers["tensorboard"] = TensorBoardTracker()
    if section.mlflow is not None:
        trackers["mlflow"] = MlflowTracker(section.mlflow)
    if section.wandb is not None:
        trackers["wandb"] = WandbTracker(section.wandb)
    return Tracking([Courier(name, tracker, about) for name, tracker in trackers.items()], steps, notify)


def _metrics(row: Mapping[str, Any]) -> dict[str, float]:
    """`train_loss` as `train/loss`, because trackers group by the first part; what is no number is left out."""
    found = {}
    for key, value in row.items():
        if key in ("epoch", "epochs") or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        first, _, rest = key.partition("_")
        found[f"{first}/{rest}" if first in ("train", "validation") else key] = value
    return found
