"""All runs below some folders: one entry each, whatever state they are in."""

import json
import os
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from secateurs.reporting._merit import ACCURACY, ELBO, MERITS

__all__ = ["Entry", "RunStatus", "catalogue"]

RunStatus: TypeAlias = Literal["running", "finished", "stopped", "failed", "damaged"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A run, or a study with its runs.

    Attributes:
        path: its directory.
        name: the recipe's.
        kind: `run` or `study`.
        status: `stopped` is a run that was interrupted, or whose process is gone: it can be resumed. `damaged`
            is one whose run.json cannot be read.
        error: what it failed of, or what is wrong with run.json.
        stage: the stage reached; None where nothing has begun, and for studies.
        done: stages that are finished, or runs of a study.
        total: stages of the run, or runs of the study.
        epochs: epochs trained so far, over all stages and runs.
        accuracy_before: test accuracy before the first cut, a fraction; of a study, the mean over its runs.
        accuracy_after: the same at the end, or so far.
        elbo_before: the evidence lower bound on test images before the first cut, in nats per image, of networks that
            are judged by it.
        elbo_after: the same at the end, or so far.
        params_kept: fraction of the parameters that the first cut found.
        macs_kept: the same of the multiply-adds.
        network: name of the network; None for studies and where that is not known.
        subset: the classes that the run is about, as it names them; None for all.
        percent: of the parameters, asked to be removed; 0 where that is not what was asked for.
        seconds: time spent in stages.
        started: when it began, in ISO 8601; None where that is not known.
        runs: the runs of a study.
    """

    path: Path
    name: str = ""
    kind: Literal["run", "study"] = "run"
    status: RunStatus
    error: str | None = None
    stage: str | None = None
    done: int = 0
    total: int = 0
    epochs: int = 0
    accuracy_before: float | None = None
    accuracy_after: float | None = None
    elbo_before: float | None = None
    elbo_after: float | None = None
    params_kept: float | None = None
    macs_kept: float | None = None
    network: str | None = None
    subset: str | None = None
    percent: float = 0.0
    seconds: float = 0.0
    started: str | None = None
    runs: tuple["Entry", ...] = ()


def catalogue(folders: Iterable[Path], *, held: Callable[[Path], bool]) -> tuple[Entry, ...]:
    """Every run in or below `folders`, newest first; a study's runs are in its entry.

    Args:
        held: whether a process has that run directory now; one that says "running" and is not held has stopped.
    """
    places = dict.fromkeys(place for folder in folders for place in _run_directories(folder))
    entries = [_entry(place, held) for place in places]
    # Two sorts, because the second keeps what is equally new in the order of the first.
    return tuple(sorted(sorted(entries, key=lambda e: str(e.path)), key=lambda e: e.started or "", reverse=True))


def _run_directories(folder: Path) -> Iterator[Path]:
    """Folders with a run.json; nothing inside one is looked for, its runs are its own business."""
    for place, inner, files in os.walk(folder):
        inner.sort()
        if "run.json" in files:
            yield Path(place)
            inner.clear()
        inner[:] = [name for name in inner if not name.startswith(".")]


def _entry(place: Path, held: Callable[[Path], bool]) -> Entry:
    try:
        state = json.loads((place / "run.json").read_text(encoding="utf-8"))
        if not isinstance(state, dict):
            raise TypeError(f"run.json holds a {type(state).__name__}, not a mapping")
        return _study(place, state, held) if "runs" in state else _run(place, state, held)
    # Whatever stands in a damaged file, the others are still to be listed.
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        return Entry(path=place, status="damaged", error=f"{type(error).__name__}: {error}")


def _run(place: Path, state: Mapping[str, Any], held: Callable[[Path], bool]) -> Entry:
    stages = list(state["stages"])
    begun = [stage["name"] for stage in stages if stage["status"] != "waiting"]
    before, after = _sides(state, stages)
    error = state.get("error")
    return Entry(
        path=place,
        name=str(state["name"]),
        status=_status(place, state, held),
        error=None if error is None else str(error),
        stage=str(begun[-1]) if begun else None,
        done=sum(stage["status"] == "finished" for stage in stages),
        total=len(stages),
        epochs=_epochs(place),
        accuracy_before=_number(before, ACCURACY.test),
        accuracy_after=_number(after, ACCURACY.test),
        elbo_before=_number(before, ELBO.test),
        elbo_after=_number(after, ELBO.test),
        params_kept=_kept(before, after, "params"),
        macs_kept=_kept(before, after, "macs"),
        network=_text(state.get("network")),
        subset=_text(state.get("subset")),
        # A budget is noted as the fraction that it was written as.
        percent=round(100 * float(((state.get("summary") or {}).get("asked") or {}).get("params", 0.0)), 6),
        seconds=sum(float(stage["seconds"]) for stage in stages),
        started=_text(state.get("started")),
    )


def _study(place: Path, state: Mapping[str, Any], held: Callable[[Path], bool]) -> Entry:
    folders = [place / _inside(member["path"]) for member in state["runs"]]
    runs = tuple(_entry(folder, held) for folder in folders if (folder / "run.json").exists())
    ended = [run for run in runs if run.status == "finished"]
    error = state.get("error")
    return Entry(
        path=place,
        name=str(state["name"]),
        kind="study",
        status=_status(place, state, held),
        error=None if error is None else str(error),
        done=len(ended),
        total=len(folders),
        epochs=sum(run.epochs for run in runs),
        accuracy_before=_mean(run.accuracy_before for run in ended),
        accuracy_after=_mean(run.accuracy_after for run in ended),
        elbo_before=_mean(run.elbo_before for run in ended),
        elbo_after=_mean(run.elbo_after for run in ended),
        params_kept=_mean(run.params_kept for run in ended),
        macs_kept=_mean(run.macs_kept for run in ended),
        seconds=sum(run.seconds for run in runs),
        started=min((run.started for run in runs if run.started), default=None),
        runs=runs,
    )


def _status(place: Path, state: Mapping[str, Any], held: Callable[[Path], bool]) -> RunStatus:
    said = state["status"]
    if said == "running":
        return "running" if held(place) else "stopped"
    if said == "finished":
        return "finished"
    if said == "failed":
        return "stopped" if str(state.get("error")).startswith("interrupted") else "failed"
    raise ValueError(f"an unknown status {said!r}")


def _sides(state: Mapping[str, Any], stages: list[Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Before and after: of the summary, or while there is none, what the stages so far have found."""
    summary = state.get("summary") or {}
    if summary.get("after"):
        return summary.get("before") or {}, summary["after"]
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for results in [stage["results"] for stage in stages]:
        before = before or (results.get("before") or {})
        after |= results.get("after") or {}
        if before:  # a training after the cut
            after |= {merit.test: results[merit.test] for merit in MERITS if merit.test in results}
    return before, after


def _epochs(place: Path) -> int:
    file = place / "metrics.jsonl"
    return len(file.read_text(encoding="utf-8").splitlines()) if file.exists() else 0


def _number(side: Mapping[str, Any], key: str) -> float | None:
    return float(side[key]) if key in side else None


def _kept(before: Mapping[str, Any], after: Mapping[str, Any], key: str) -> float | None:
    dense, now = _number(before, key), _number(after, key)
    return now / dense if dense and now is not None else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _inside(path: str) -> Path:
    """A run of a study lies in the study's directory; anything else is no study of ours."""
    found = Path(path)
    if found.is_absolute() or ".." in found.parts:
        raise ValueError(f"a run at {path!r}, outside the study")
    return found
