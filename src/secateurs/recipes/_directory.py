"""The run directory: everything a run leaves behind, written so that a kill at any moment loses nothing."""

import datetime
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from secateurs import _distributed
from secateurs._errors import ConfigError, FileError, SecateursError
from secateurs._files import make_directory, remove_partial, write_json, write_text
from secateurs.recipes._yaml import dump_yaml, read_yaml

__all__ = ["RunDirectory", "check_directory", "first_difference", "read_state", "reason_of", "unless_full"]


def read_state(path: Path) -> dict[str, Any]:
    """What DIR/run.json says; empty where there is none."""
    file = path / "run.json"
    try:
        state = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    except (OSError, ValueError) as error:
        raise FileError(
            str(file), wanted="a readable run.json", got=str(error), cure="Choose another directory."
        ) from error
    if not isinstance(state, dict):
        raise FileError(str(file), wanted="a mapping", got=type(state).__name__, cure="Choose another directory.")
    return state


def reason_of(error: BaseException) -> str:
    """Why a run stopped, as run.json says it."""
    if isinstance(error, KeyboardInterrupt):
        return str(error) or "interrupted"
    return str(error) if isinstance(error, SecateursError) else f"{type(error).__name__}: {error}"


@contextmanager
def unless_full(notify: Callable[[str], None]) -> Iterator[None]:
    """For the last words of a run that fails: where the disk takes none, what it failed of is still what is raised."""
    try:
        yield
    except FileError as error:
        notify(f"not written: {error}")


def check_directory(path: Path, config: Mapping[str, Any], *, resume: bool) -> dict[str, Any]:
    """Refuse a directory that this recipe must not write to; else what an earlier run left in its run.json.

    Raises:
        ConfigError: a directory in use without `resume`, or one of another recipe.
        FileError: a directory that cannot be made, read or written.
    """
    make_directory(path)
    try:
        # Hidden files do not count: a kill may have left a temporary one before anything else was written.
        used = sum(1 for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    if not os.access(path, os.W_OK):
        raise _unusable(path, "one that may not be written to")
    if not used:
        return {}
    if not resume:
        raise ConfigError(
            str(path),
            wanted="a new or empty directory",
            got=f"one with {used} entries",
            cure="Go on with that run by --resume, or choose another directory with --out.",
        )
    if not (path / "config.yaml").exists():
        raise ConfigError(
            str(path),
            wanted="a run directory to resume",
            got="a directory with other files and no config.yaml",
            cure="Choose another directory with --out.",
        )
    _check_same(path / "config.yaml", config)
    return read_state(path)


def _unusable(path: Path, got: str) -> FileError:
    return FileError(str(path), wanted="a writable directory", got=got, cure="Choose another directory with --out.")


def _check_same(file: Path, config: Mapping[str, Any]) -> None:
    difference = first_difference(read_yaml(file), json.loads(json.dumps(config)))
    if difference is not None:
        key, before, now = difference
        raise ConfigError(
            key,
            wanted=f"{before} as in {file}",
            got=now,
            cure="Resume with the same recipe and overrides, or choose another directory with --out.",
        )


def first_difference(before: Any, now: Any, path: str = "") -> tuple[str, str, str] | None:
    """(dotted key, old value, new value) of the first place where two configs differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys: list[Any] = [*now, *(key for key in before if key not in now)]
        pairs = [(str(key), before.get(key, "nothing"), now.get(key, "nothing")) for key in keys]
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = [(str(index), *pair) for index, pair in enumerate(zip(before, now, strict=True))]
    else:
        same = before == now and isinstance(before, bool) == isinstance(now, bool)
        return None if same else (path or "config.yaml", repr(before), repr(now))
    found = (first_difference(old, new, f"{path}.{key}".lstrip(".")) for key, old, new in pairs)
    return next((difference for difference in found if difference is not None), None)


class Listener(Protocol):
    """Told of what the directory notes, as soon as it is written."""

    def epoch(self, step: str, row: Mapping[str, Any]) -> None: ...

    def stage(self, step: str, results: Mapping[str, Any]) -> None: ...


class RunDirectory:
    """One ordinary run's directory; `state` is what run.json holds, `listener` is told what is noted, and `on_epoch`
    may end the run by what it raises."""

    def __init__(self, path: Path, state: dict[str, Any]) -> None:
        self.path, self.state = path, state
        self.listener: Listener | None = None
        self.on_epoch: Callable[[Mapping[str, Any]], None] | None = None
        self._epochs = _read_rows(path / "metrics.jsonl")
        self._clock = time.monotonic()

    @classmethod
    def open(cls, path: Path, config: Mapping[str, Any], *, resume: bool) -> Self:
        """The directory, checked but not yet written to; see `check_directory` for the errors."""
        return cls(path, _distributed.decided(lambda: check_directory(path, config, resume=resume)))

    @property
    def finished(self) -> bool:
        return self.state.get("status") == "finished"

    @property
    def epochs(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl."""
        return list(self._epochs.values())

    def folder(self, step: str) -> Path:
        """The stage's own folder."""
        return self.path / "stages" / step

    def begin(self, config: Mapping[str, Any], steps: list[dict[str, Any]], facts: Mapping[str, Any]) -> None:
        """Write config.yaml, and run.json for a start or a resumption; finished stages keep their entries.

        What a kill left half-written goes: nobody else writes here.
        """
        for folder in (self.path, *self.path.glob("stages/*"), self.path / "plots"):
            remove_partial(folder)
        write_text(self.path / "config.yaml", dump_yaml(dict(config)))
        old = {entry["name"]: entry for entry in self.state.get("stages", [])}
        again = int(self.state.get("resumes", -1)) + 1
        fresh = {"status": "waiting", "seconds": 0.0, "results": {}}
        self.state = {
            **facts,
            "status": "running",
            "error": None,
            "started": self.state.get("started", _now()),
            "resumes": again,
            "stages": [{**step, **fresh} | old.get(step["name"], {}) for step in steps],
            "summary": self.state.get("summary", {}),
        }
        self.save()

    def entry(self, step: str) -> dict[str, Any]:
        """The stage's entry in run.json, to be changed and saved."""
        entry: dict[str, Any] = next(entry for entry in self.state["stages"] if entry["name"] == step)
        return entry

    def start_step(self, step: str) -> None:
        """Mark the stage as running; its time goes on from what earlier attempts took."""
        entry = self.entry(step)
        entry["status"] = "running"
        self._clock = time.monotonic() - entry["seconds"]
        self.save()

    def tick(self, step: str) -> None:
        """Note the time that the running stage has taken so far."""
        self.entry(step)["seconds"] = round(time.monotonic() - self._clock, 3)
        self.save()

    def finish_step(self, step: str, results: Mapping[str, Any]) -> None:
        """Mark the stage as finished, with its results here and in its own metrics.json."""
        write_json(self.folder(step) / "metrics.json", results)
        self.entry(step).update(status="finished", results=results)
        self.tick(step)
        if self.listener is not None:
            self.listener.stage(step, results)

    def end(self, status: Literal["finished", "failed"], error: str | None = None) -> None:
        """Close the run; the time is the sum over stages, resumptions included."""
        seconds = round(sum(entry["seconds"] for entry in self.state["stages"]), 3)
        self.state |= {"status": status, "error": error, "ended": _now(), "seconds": seconds}
        self.save()

    def save(self) -> None:
        write_json(self.path / "run.json", self.state)

    def log_epochs(self, step: str, rows: list[dict[str, Any]]) -> None:
        """Put epochs of a stage into metrics.jsonl; a row that is there already is replaced, never doubled.

        The file is written whole each time, for an append could be cut in half by a kill; it is some kilobytes.
        """
        for row in rows:
            self._epochs[step, row["epoch"]] = {"stage": step, **row}
        # In the order of training: a kill may have left out a line that the stage's history brings back later.
        self._epochs = dict(sorted(self._epochs.items(), key=_place))
        text = "".join(json.dumps(row) + "\n" for row in self._epochs.values())
        write_text(self.path / "metrics.jsonl", text)
        if self.listener is not None:
            for row in rows:
                self.listener.epoch(step, row)
        if self.on_epoch is not None:
            for row in rows:
                self.on_epoch({"stage": step, **row})


def _place(item: tuple[tuple[str, int], dict[str, Any]]) -> tuple[int, str, int]:
    step, epoch = item[0]
    number = step.partition("-")[0]  # names begin with the stage's number, which grows past two digits
    return (int(number) if number.isdecimal() else 0), step, epoch


def _read_rows(file: Path) -> dict[tuple[str, int], dict[str, Any]]:
    if not file.exists():
        return {}
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        return {(row["stage"], row["epoch"]): row for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileError(
            str(file), wanted="one JSON object a line", got=str(error), cure="Remove the file; it is written anew."
        ) from error


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
