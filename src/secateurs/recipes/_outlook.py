"""How long a whole study still takes: what it has measured so far, carried over to what comes."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from secateurs.recipes.stages import Step

__all__ = ["Job", "Outlook", "jobs_of"]

_SHORT = 2.0  # seconds of a stage without epochs, before one of its type has been seen


@dataclass(frozen=True, kw_only=True)
class Job:
    """One stage of one run of the study; `epochs` is 0 for stages that have none."""

    run: str
    stage: str
    type: str
    epochs: int


def jobs_of(run: str, steps: Sequence[Step]) -> list[Job]:
    """The stages of a run, in order."""
    return [
        Job(run=run, stage=step.name, type=step.stage.type, epochs=int(getattr(step.stage, "epochs", 0)))
        for step in steps
    ]


class Outlook:
    """Seconds that are spent and to come. `jobs` are all stages of all runs, in the order of doing.

    A display may ask from another thread: what is walked through here is a copy made at once.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = tuple(jobs)
        self._spent: dict[Job, float] = {}
        self._begun: dict[Job, float] = {}
        self._rates: dict[Job, float] = {}

    def job(self, run: str, stage: str) -> Job:
        """The stage called so."""
        return next(job for job in self.jobs if (job.run, job.stage) == (run, stage))

    def recall(self, run: str, state: Mapping[str, Any], epochs: Iterable[Mapping[str, Any]]) -> None:
        """Take over what an earlier process left in run.json and metrics.jsonl."""
        known = {job.stage: job for job in self.jobs if job.run == run}
        for entry in state.get("stages", []):
            if entry.get("name") not in known:
                continue
            job = known[entry["name"]]
            seconds = [float(row["seconds"]) for row in epochs if row.get("stage") == job.stage and "seconds" in row]
            rate = statistics.fmean(seconds) if seconds else None
            if entry.get("status") == "finished":
                self.finished(job, float(entry.get("seconds", 0.0)), rate)
            else:
                self._begun[job] = float(entry.get("seconds", 0.0))
                self._rates |= {} if rate is None else {job: rate}

    def begun(self, job: Job) -> float:
        """Seconds that earlier processes have spent on a stage that they did not finish."""
        return self._begun.get(job, 0.0)

    def rate(self, job: Job, seconds: float) -> None:
        """An epoch of this training takes so long."""
        self._rates[job] = seconds

    def finished(self, job: Job, seconds: float, rate: float | None = None) -> None:
        """The stage took so long, its epochs `rate` each."""
        self._spent[job] = seconds
        if rate is not None:
            self._rates[job] = rate

    @property
    def spent(self) -> float:
        """Seconds of all finished stages."""
        return sum(list(self._spent.values()))

    def known_rate(self, job: Job) -> float | None:
        """Seconds of an epoch: of this training, else of the same one in other runs, else of the one last seen."""
        if job in self._rates:
            return self._rates[job]
        seen = list(self._rates.items())
        same = [rate for other, rate in seen if other.stage == job.stage]
        return statistics.fmean(same or [seen[-1][1]]) if seen else None

    def expected(self, job: Job) -> float | None:
        """Seconds that the whole stage takes; None for a training when none has been timed."""
        if job in self._spent:
            return self._spent[job]
        if job.epochs:
            rate = self.known_rate(job)
            return None if rate is None else rate * job.epochs
        alike = [(other, seconds) for other, seconds in list(self._spent.items()) if other.type == job.type]
        same = [seconds for other, seconds in alike if other.stage == job.stage]
        return statistics.fmean(same or [seconds for _, seconds in alike] or [_SHORT])

    def after(self, job: Job) -> float | None:
        """Seconds of everything after this stage that is not done yet; None where it cannot be known."""
        to_come = [other for other in self.jobs[self.jobs.index(job) + 1 :] if other not in self._spent]
        seconds = [self.expected(other) for other in to_come]
        known = [value for value in seconds if value is not None]
        return sum(known) if len(known) == len(seconds) else None
