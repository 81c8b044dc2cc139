"""What carries runs out; the sweep does not care where."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from secateurs.sweeps._job import Job, Outcome

__all__ = ["Ended", "Workers"]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What became of an attempt at the run with that path."""

    path: str
    outcome: Outcome


class Workers(Protocol):
    """Runs at work, each known by its path."""

    def room(self) -> int:
        """How many more runs can be taken on now."""

    def submit(self, job: Job) -> None:
        """Take one on."""

    def wait(self, seconds: float) -> Sequence[Ended]:
        """Those that have ended, once there are any or so many seconds have passed."""

    def cancel(self, path: str) -> None:
        """Let a run save what it has and end; `wait` tells when it has."""

    def close(self) -> None:
        """End whatever runs still, after it has saved what it has."""
