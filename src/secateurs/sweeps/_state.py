"""What a sweep has come to: sweep.json, and a run.json as that of any study; each is written whole or not at all."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from secateurs._errors import FileError
from secateurs._files import remove_partial, write_json, write_text
from secateurs._json import read_json
from secateurs.recipes import check_directory, comparison, dump_yaml, read_state, read_yaml
from secateurs.sweeps._config import Sweep
from secateurs.sweeps._figures import FIGURES
from secateurs.sweeps._trial import Trial, TrialRun, best_trials

__all__ = ["STATE_FILE", "SweepState"]

STATE_FILE = "sweep.json"
_MAY_CHANGE = ("description", "trials", "workers", "resources", "retries")
"""From one call to the next: none of these changes what a trial is."""


class SweepState:
    """The trials of a sweep in the directory `home`. Every change is on disk before anything follows from it."""

    def __init__(self, home: Path, sweep: Sweep, trials: Sequence[Trial], *, finished: bool) -> None:
        self.home, self.sweep, self.trials = home, sweep, list(trials)
        self.finished = finished
        self._status, self._error = "running", ""
        self._summaries: dict[str, Mapping[str, Any]] = {}
        self._lines: dict[int, tuple[Trial, str]] = {}  # each trial is turned into JSON once

    @classmethod
    def open(cls, home: Path, sweep: Sweep, *, resume: bool) -> Self:
        """What an earlier call left, or a new sweep; nothing is written yet.

        Raises:
            ConfigError: a directory in use without `resume`, or one of another sweep.
            FileError: one that cannot be read.
        """
        config, file = sweep.resolved(), home / "config.yaml"
        if resume and file.exists():
            before = read_yaml(file)
            config |= {key: before[key] for key in _MAY_CHANGE if isinstance(before, dict) and key in before}
        check_directory(home, config, resume=resume)
        stored = _read(home / STATE_FILE)
        trials = [Trial.from_plain(trial) for trial in stored.get("trials", [])]
        return cls(home, sweep, trials, finished=stored.get("status") == "finished")

    def begin(self) -> None:
        """Write what the directory begins with; runs that were running when an earlier call ended wait again.

        Failed ones do too: something may have been done about what they failed of.
        """
        remove_partial(self.home)
        write_text(self.home / "config.yaml", dump_yaml(self.sweep.resolved()))
        for trial in self.trials:
            for run in trial.runs:
                self._recall(run)
        self.trials = [_waiting_again(trial) for trial in self.trials]
        self._status, self._error = "running", ""
        self.save()

    def add(self, trial: Trial) -> None:
        """One more trial; on disk as soon as anything becomes of it."""
        self.trials.append(trial)
        if not trial.runs:
            self.save()

    def change(self, trial: Trial, run: TrialRun) -> None:
        """That run of the trial is now so."""
        now = self.trials[trial.number]
        runs = tuple(run if other.seed == run.seed else other for other in now.runs)
        self.trials[trial.number] = replace(now, runs=runs)
        self._recall(run)
        self.save()

    def end(self, status: str, error: str = "") -> None:
        """Close it."""
        self._status, self._error = status, error
        self.save()

    @property
    def best(self) -> list[Trial]:
        """The best so far."""
        return best_trials(self.trials, self.sweep.objectives)

    def plain(self) -> dict[str, Any]:
        """What sweep.json holds."""
        return {**self._head(), "trials": [trial.plain() for trial in self.trials]}

    def _head(self) -> dict[str, Any]:
        return {
            "version": 1,
            "name": self.sweep.name,
            "status": self._status,
            "error": self._error or None,
            "search": self.sweep.search,
            "objectives": [{"name": name, "direction": FIGURES[name].direction} for name in self.sweep.objectives],
            "best": [trial.name for trial in self.best],
        }

    def save(self) -> None:
        """Write both files. sweep.json comes first: it is what a later call goes by."""
        write_text(self.home / STATE_FILE, self._text())
        begun = [(trial, run) for trial in self.trials for run in trial.runs if run.status != "waiting"]
        summaries = [(trial.name, self._summaries[run.path]) for trial, run in begun if run.path in self._summaries]
        write_json(
            self.home / "run.json",
            {
                "name": self.sweep.name,
                "status": self._status,
                "error": self._error or None,
                "runs": [{"variant": trial.name, "seed": run.seed, "path": run.path} for trial, run in begun],
                "stages": [],
                "summary": {"variants": comparison(summaries)},
            },
        )

    def _text(self) -> str:
        """sweep.json, a trial to a line."""
        head = json.dumps(self._head(), indent=2).removesuffix("\n}")
        return f'{head},\n  "trials": [\n' + ",\n".join(map(self._line, self.trials)) + "\n  ]\n}\n"

    def _line(self, trial: Trial) -> str:
        known = self._lines.get(trial.number)
        if known is None or known[0] is not trial:
            known = self._lines[trial.number] = (trial, f"    {json.dumps(trial.plain())}")
        return known[1]

    def _recall(self, run: TrialRun) -> None:
        if run.status == "finished" and run.path not in self._summaries:
            summary = read_state(self.home / run.path).get("summary")
            if summary:  # what somebody has deleted is missing in the comparison, and only there
                self._summaries[run.path] = summary


def _waiting_again(trial: Trial) -> Trial:
    runs = [replace(run, status="waiting") if run.status in ("running", "failed") else run for run in trial.runs]
    # Attempts of an earlier call are not those of this one.
    return replace(trial, runs=tuple(replace(run, errors=()) if run.open else run for run in runs))


def _read(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        content = read_json(file)
    except (OSError, ValueError) as error:
        cure = "Choose another directory with --out."
        raise FileError(str(file), wanted="the state of a sweep", got=str(error), cure=cure) from error
    return content if isinstance(content, dict) else {}
