"""One run of a sweep, as any process on any machine can carry it out."""

import json
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias

import torch

from secateurs._errors import (
    ConfigError,
    DataError,
    GraphError,
    HeldError,
    PlanError,
    SecateursError,
    VerifyError,
)
from secateurs._files import make_directory
from secateurs.recipes import Recipe, RunOptions, locked, parse, reason_of, run, take_over
from secateurs.sweeps._config import Stop
from secateurs.sweeps._figures import figures_of
from secateurs.sweeps._rules import StoppedEarly, curve_of, stopper

__all__ = ["Job", "Outcome", "OutcomeStatus", "carry_out"]

OutcomeStatus: TypeAlias = Literal["finished", "failed", "stopped", "interrupted", "lost", "gone"]
_LASTING = (ConfigError, DataError, GraphError, PlanError, VerifyError)
"""Errors that come again however often a run is tried."""
_PATIENCE_S = 120.0
"""So long a run waits for a process that has its directory still: one of a sweep that was killed saves its work."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that a run needs to know.

    Attributes:
        recipe: resolved.
        home: the sweep's directory.
        path: of the run's, in it.
        stop: the rule for early stopping; None for none.
        source: (resolved recipe, directory) of a finished run whose first stages are this one's too.
        threads: processor threads; None for torch's own choice.
        folder: what paths in the recipe are relative to.
        python: where modules are looked for, such as that of a network of the user's own.
        environment: variables that the run relies on.
    """

    recipe: Mapping[str, Any]
    home: str
    path: str
    checkpoint_minutes: float
    stop: Mapping[str, Any] | None
    source: tuple[Mapping[str, Any], str] | None
    threads: int | None
    folder: str
    python: tuple[str, ...]
    environment: Mapping[str, str]

    def to_json(self) -> str:
        """One line; `carry_out` takes it."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of an attempt.

    Attributes:
        status: `lost` is one whose process is gone, `gone` one whose machine is.
        figures: of a finished run.
        error: why it did not finish.
        lasting: another attempt would end in the same way.
        epoch: of a run that was ended early, after which epoch.
        value: the best that it had reached.
        seconds: that its own stages took, over all attempts.
    """

    status: OutcomeStatus
    figures: Mapping[str, float]
    error: str | None = None
    lasting: bool = False
    epoch: int | None = None
    value: float | None = None
    seconds: float = 0.0

    def to_json(self) -> str:
        """One line; `Outcome(**json.loads(line))` gives it back."""
        return json.dumps(asdict(self))


def carry_out(line: str) -> str:
    """Carry out a `Job`; its `Outcome`. What is told goes to DIR/logs; nothing is raised but what ends the process."""
    job = Job(**json.loads(line))
    _settle_in(job)
    with _log(job) as log:
        say = partial(_say, log)
        say(f"--- {job.path}, process {os.getpid()} on {socket.gethostname()}")
        try:
            outcome = _attempt(job, say)
        except StoppedEarly as stop:
            found = stop.verdict
            outcome = Outcome(status="stopped", figures={}, error=found.reason, epoch=found.epoch, value=found.best)
        except KeyboardInterrupt as stop:
            outcome = Outcome(status="interrupted", figures={}, error=str(stop) or "interrupted")
        except SecateursError as error:
            lasting = isinstance(error, _LASTING) and not isinstance(error, HeldError)
            outcome = Outcome(status="failed", figures={}, error=str(error), lasting=lasting)
        except Exception as error:  # noqa: BLE001 - whatever a trial fails of, the others go on
            say(traceback.format_exc())
            outcome = Outcome(status="failed", figures={}, error=reason_of(error))
        say(f"{outcome.status}: {outcome.error}" if outcome.error else outcome.status)
    return outcome.to_json()


def _attempt(job: Job, say: Callable[[str], None]) -> Outcome:
    recipe = parse(job.recipe, source=job.path)
    out, began = Path(job.home) / job.path, time.monotonic()
    while True:
        try:
            state = _run(job, recipe, out, say)
        except HeldError:
            if time.monotonic() - began > _PATIENCE_S:
                raise
            time.sleep(0.2)
        else:
            break
    # Stages of another run, taken over, have taken it no time.
    seconds = sum(float(stage["seconds"]) for stage in state["stages"] if "taken_from" not in stage)
    return Outcome(status="finished", figures=figures_of(state), seconds=round(seconds, 3))


def _run(job: Job, recipe: Recipe, out: Path, say: Callable[[str], None]) -> dict[str, Any]:
    judge = None if job.stop is None else stopper(Stop(**job.stop), Path(job.home), out)
    with locked(out, say):
        if job.source is not None:
            other, place = job.source
            told = take_over(recipe, out, [(parse(other, source=place), Path(place))])
            if told is not None:
                say(told)
    if judge is not None and curve_of(out):
        judge()  # killed between the epoch after which it should have ended and its end
    options = RunOptions(
        resume=True,
        notify=say,
        checkpoint_minutes=job.checkpoint_minutes,
        on_epoch=None if judge is None else lambda _: judge(),
    )
    return run(recipe, out, options)


def _settle_in(job: Job) -> None:
    """Make this process see what the one that has asked sees."""
    for name, value in job.environment.items():
        os.environ.setdefault(name, value)
    if Path(job.folder).is_dir():
        os.chdir(job.folder)
    sys.path[:] = [*job.python, *(place for place in sys.path if place not in job.python)]
    if job.threads is not None:
        torch.set_num_threads(job.threads)


def _log(job: Job) -> TextIO:
    folder = make_directory(Path(job.home) / "logs")
    return (folder / f"{job.path.replace('/', '-')}.log").open("a", encoding="utf-8")


def _say(log: TextIO, line: str) -> None:
    log.write(f"{line}\n")
    log.flush()
