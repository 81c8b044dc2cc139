"""A sweep, carried out: proposals become runs, runs become figures, figures become proposals."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from secateurs._errors import SecateursError
from secateurs._signals import interruptible
from secateurs.recipes import Recipe, draw_study, locked, reason_of, unlock_elsewhere
from secateurs.sweeps._config import Sweep
from secateurs.sweeps._figures import said
from secateurs.sweeps._job import Job, Outcome
from secateurs.sweeps._local import LocalWorkers
from secateurs.sweeps._optuna import import_optuna
from secateurs.sweeps._propose import propose
from secateurs.sweeps._ray import RayWorkers
from secateurs.sweeps._shared import SharedStages
from secateurs.sweeps._show import showing
from secateurs.sweeps._state import SweepState
from secateurs.sweeps._trial import Trial, TrialRun, trial_name
from secateurs.sweeps._trial_recipes import trial_recipes
from secateurs.sweeps._workers import Workers

__all__ = ["SweepOptions", "run_sweep"]

_TICK_S = 0.5
_TRIED = 500
_LOSSES = 10
"""So often a run may lose its machine, whatever `retries` says: none of these was its fault, as far as is known."""


def _silent(_line: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """How to carry a sweep out, as opposed to what.

    Attributes:
        resume: go on with what an earlier call left in the directory; start where there is nothing.
        ray: address of a Ray cluster, or "auto" for the one that this machine belongs to; None to run here.
        progress: show a live table where there is a terminal.
        notify: told what happens, one line at a time.
        checkpoint_minutes: longest time between two checkpoints of a training.
    """

    resume: bool = False
    ray: str | None = None
    progress: bool = False
    notify: Callable[[str], None] = _silent
    checkpoint_minutes: float = 10.0


def run_sweep(sweep: Sweep, out: Path, options: SweepOptions | None = None) -> dict[str, Any]:
    """Carry out a sweep in the directory `out`; returns what its sweep.json holds.

    Raises:
        ConfigError: `out` is in use, or holds another sweep; or the sweep makes no sense with its recipe.
        SecateursError: no trial has finished.
        Interrupted: a signal came; what ran has saved its work, and the sweep can be resumed.
    """
    options, out = options or SweepOptions(), out.resolve()
    _check(sweep)
    with interruptible(), locked(out, options.notify):
        state = SweepState.open(out, sweep, resume=options.resume)
        if state.finished and len(state.trials) >= sweep.count and not _failures(state):
            options.notify(f"{out} is finished already; nothing to do")
            return state.plain()
        _carry_out(state, options)
        draw_study(out, options.notify)
    return state.plain()


def _check(sweep: Sweep) -> None:
    """Try what can be tried before any work is done: of a grid, every trial, or the first of very many."""
    if sweep.search == "optuna":
        import_optuna()
    tried: list[Trial] = []
    most = _TRIED if sweep.search == "grid" else 1
    while len(tried) < most and (values := propose(sweep, tried)) is not None:
        trial_recipes(sweep, values, source=f"{sweep.name}, trial {len(tried)}")
        tried.append(Trial(number=len(tried), name="", values=values, runs=()))


def _failures(state: SweepState) -> list[Trial]:
    return [trial for trial in state.trials if trial.status == "failed"]


def _carry_out(state: SweepState, options: SweepOptions) -> None:
    state.begin()
    try:
        with _workers(state.sweep, options) as workers, showing(state, shown=options.progress) as refresh:
            _Course(state, workers, options).follow(refresh)
        if state.trials and not any(trial.status in ("finished", "stopped") for trial in state.trials):
            raise _nothing_finished(state)
    except BaseException as error:
        state.end("failed", reason_of(error))
        raise
    state.end("finished")


@contextmanager
def _workers(sweep: Sweep, options: SweepOptions) -> Iterator[Workers]:
    workers: Workers
    if options.ray is not None:
        workers = RayWorkers(options.ray, sweep.workers, sweep.resources)
    else:
        workers = LocalWorkers(sweep.workers or 1, sweep.resources)
    try:
        yield workers
    finally:
        workers.close()


def _nothing_finished(state: SweepState) -> SecateursError:
    failed = _failures(state)[0]
    errors = [*failed.errors, *(error for run in failed.runs for error in run.errors)]
    return SecateursError(
        state.sweep.name,
        wanted="a trial that finishes",
        got=f"{len(_failures(state))} that failed, {failed.name} of: {errors[-1] if errors else 'nothing known'}",
        cure=f"DIR/logs tells more; when the cause is gone, go on by --resume (in {state.home}).",
    )


class _Course:
    """One call of the sweep: what is taken on next, and what follows from what has ended."""

    def __init__(self, state: SweepState, workers: Workers, options: SweepOptions) -> None:
        self._state, self._workers, self._options = state, workers, options
        self._shared = SharedStages(state.home)
        self._recipes: dict[str, Recipe] = {}
        self._at_work: dict[str, tuple[int, int]] = {}  # path -> trial's number, seed
        self._losses: dict[str, int] = {}

    def follow(self, refresh: Callable[[], None]) -> None:
        """Until there is nothing more to be tried."""
        for trial in self._state.trials:
            self._know(trial)
        while True:
            while self._workers.room() > 0 and (found := self._next()) is not None:
                self._start(*found)
            if not self._at_work:
                return
            for ended in self._workers.wait(_TICK_S):
                number, seed = self._at_work.pop(ended.path)
                self._settle(self._state.trials[number], seed, ended.outcome)
            refresh()

    def _next(self) -> tuple[Trial, TrialRun] | None:
        """The first run that waits; of a new trial where none does."""
        for trial in self._state.trials:
            if trial.status in ("waiting", "running"):
                for run in trial.runs:
                    if run.status == "waiting":
                        return trial, run
        while (values := propose(self._state.sweep, self._state.trials)) is not None:
            trial = self._made(values)
            self._state.add(trial)
            if trial.runs:
                return trial, trial.runs[0]
        return None

    def _made(self, values: dict[str, Any]) -> Trial:
        """A new trial; one whose values make no recipe has failed already."""
        number = len(self._state.trials)
        name = trial_name(number, values)
        try:
            recipes = trial_recipes(self._state.sweep, values, source=f"{self._state.sweep.name}, trial {name}")
        except SecateursError as error:
            self._options.notify(f"{name} failed: {error}")
            return Trial(number=number, name=name, values=values, runs=(), errors=(str(error),))
        runs = tuple(TrialRun(seed=seed, path=f"{name}/{seed}", figures={}) for seed in recipes)
        trial = Trial(number=number, name=name, values=values, runs=runs)
        self._keep(trial, recipes)
        return trial

    def _know(self, trial: Trial) -> None:
        """The recipes of a trial of an earlier call, and what its finished runs can share."""
        if not trial.runs:
            return
        source = f"{self._state.sweep.name}, trial {trial.name}"
        self._keep(trial, trial_recipes(self._state.sweep, trial.values, source=source))
        for run in trial.runs:
            if run.status == "finished":
                self._shared.add(run.path, self._recipes[run.path])

    def _keep(self, trial: Trial, recipes: dict[int, Recipe]) -> None:
        self._recipes |= {run.path: recipes[run.seed] for run in trial.runs}

    def _start(self, trial: Trial, run: TrialRun) -> None:
        sweep, recipe = self._state.sweep, self._recipes[run.path]
        self._state.change(trial, replace(run, status="running"))
        self._at_work[run.path] = (trial.number, run.seed)
        self._workers.submit(
            Job(
                recipe=recipe.resolved(),
                home=str(self._state.home),
                path=run.path,
                checkpoint_minutes=self._options.checkpoint_minutes,
                stop=None if sweep.stop is None else sweep.stop.model_dump(),
                source=self._shared.source(recipe),
                threads=self._threads(),
                folder=str(Path.cwd()),
                python=tuple(place or str(Path.cwd()) for place in sys.path),
                environment={name: value for name, value in os.environ.items() if name.startswith("SECATEURS_")},
            )
        )

    def _threads(self) -> int | None:
        sweep = self._state.sweep
        if sweep.resources.cpus is not None:
            return sweep.resources.cpus
        if self._options.ray is not None:
            return 1
        return None if (sweep.workers or 1) == 1 else max(1, (os.cpu_count() or 1) // (sweep.workers or 1))

    def _settle(self, trial: Trial, seed: int, outcome: Outcome) -> None:
        run = next(run for run in trial.runs if run.seed == seed)
        if outcome.status == "finished":
            done = replace(run, status="finished", figures=dict(outcome.figures), seconds=outcome.seconds)
            self._shared.add(run.path, self._recipes[run.path])
        elif outcome.status == "stopped":
            done = replace(run, status="stopped", reason=outcome.error, epoch=outcome.epoch, value=outcome.value)
            self._stop_others(trial, seed)
        elif outcome.status == "interrupted" and trial.status == "stopped":
            done = replace(run, status="stopped", reason="another seed of its trial was ended early")
        elif outcome.status == "interrupted":
            done = replace(run, status="waiting")  # somebody has ended its process kindly: it goes on
        else:
            done = self._failed(run, outcome)
        self._state.change(trial, done)
        self._tell(done, outcome)

    def _failed(self, run: TrialRun, outcome: Outcome) -> TrialRun:
        """To be tried again, or for good."""
        error = outcome.error or "an unknown cause"
        if outcome.status == "gone":
            self._losses[run.path] = self._losses.get(run.path, 0) + 1
            if unlock_elsewhere(self._state.home / run.path):
                self._options.notify(f"{run.path}: the lock of the machine that is gone is deleted")
            if self._losses[run.path] <= _LOSSES:
                return replace(run, status="waiting")
        errors = (*run.errors, error)
        final = outcome.lasting or len(errors) > self._state.sweep.retries
        return replace(run, status="failed" if final else "waiting", errors=errors)

    def _stop_others(self, trial: Trial, seed: int) -> None:
        for run in trial.runs:
            if run.seed != seed and run.path in self._at_work:
                self._workers.cancel(run.path)

    def _tell(self, run: TrialRun, outcome: Outcome) -> None:
        ended = sum(trial.status in ("finished", "stopped", "failed") for trial in self._state.trials)
        shown = (*self._state.sweep.objectives, "test_accuracy")
        what = ", ".join(f"{name} {said(name, run.figures[name])}" for name in shown if name in run.figures)
        word = {"waiting": "to be tried again"}.get(run.status, run.status)
        reason = outcome.error if run.status != "finished" else None
        self._options.notify(f"{run.path} {word}: {what or reason}  ({ended} of {self._state.sweep.count} trials)")
