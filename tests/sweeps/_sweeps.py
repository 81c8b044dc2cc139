"""Small sweeps for the tests: digits and an MLP, or runs that are only said to have been."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from secateurs.sweeps import Sweep, parse_sweep
from secateurs.sweeps._config import Resources
from secateurs.sweeps._job import Job, Outcome, carry_out
from secateurs.sweeps._workers import Ended
from tests.recipes._studies import config, read_json

RECIPE = config(
    {"type": "train", "epochs": 2, "lr": 0.05},
    {"type": "prune", "remove": {"macs": 0.4}},
    {"type": "train", "name": "retrain", "epochs": 1, "lr": 0.02},
) | {"data": {"name": "digits", "limit": 200}}
RECIPE["stages"][-1] = {"type": "measure", "latency": False}
RATIOS = {"stages.1.remove.macs": [0.2, 0.5]}


def sweep(**values: Any) -> Sweep:
    """A sweep over that recipe, checked."""
    return parse_sweep({"name": "tiny", "recipe": RECIPE, "space": RATIOS, **values}, source="tiny.yaml")


def result(home: Path) -> dict[str, Any]:
    """What sweep.json says, without what no two sweeps have alike: times."""
    state = read_json(home / "sweep.json")
    for trial in state["trials"]:
        for run in trial["runs"]:
            run.pop("seconds")
    return state


class Pretended:
    """Workers whose runs end at once as `becomes` says, in the order in which they were taken on."""

    def __init__(self, becomes: Callable[[Job], Outcome], room: int = 1) -> None:
        self.becomes, self.size = becomes, room
        self.jobs: list[Job] = []
        self.cancelled: list[str] = []
        self._waiting: list[Job] = []

    def room(self) -> int:
        return self.size - len(self._waiting)

    def submit(self, job: Job) -> None:
        assert self.room() > 0
        self.jobs.append(job)
        self._waiting.append(job)

    def wait(self, seconds: float) -> Sequence[Ended]:
        job = self._waiting.pop(0)
        if job.path in self.cancelled:
            return [Ended(path=job.path, outcome=Outcome(status="interrupted", figures={}))]
        return [Ended(path=job.path, outcome=self.becomes(job))]

    def cancel(self, path: str) -> None:
        self.cancelled.append(path)

    def close(self) -> None:
        """Nothing runs."""


def here(job: Job) -> Outcome:
    """The run, really carried out, in this process."""
    return Outcome(**json.loads(carry_out(job.to_json())))


def finished(**figures: float) -> Outcome:
    """A run that has ended with these."""
    return Outcome(status="finished", figures=figures)


def pretend(monkeypatch: pytest.MonkeyPatch, becomes: Callable[[Job], Outcome], room: int = 1) -> Pretended:
    """From now on, sweeps have these workers."""
    workers = Pretended(becomes, room)

    def make(_count: int, _resources: Resources) -> Pretended:
        return workers

    monkeypatch.setattr("secateurs.sweeps._sweep.LocalWorkers", make)
    monkeypatch.setattr("secateurs.sweeps._sweep.draw_study", lambda *_: None)
    return workers
