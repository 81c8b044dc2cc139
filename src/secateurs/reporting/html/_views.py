"""Runs as a report sees them: whatever can be read of each, in groups that are compared."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from secateurs.reporting._catalogue import Entry
from secateurs.reporting._merit import ACCURACY, Merit, merit_of
from secateurs.reporting._record import RunRecord

__all__ = ["Group", "View", "figure_of", "groups_of", "latency_of"]


@dataclass(frozen=True, kw_only=True)
class View:
    """One run.

    Attributes:
        entry: what the list of runs says of it.
        variant: of its study, or what its directory is called.
        record: its files; without stages and epochs where they cannot be read.
        outline: graph.json; empty where the run has written none.
        config: config.yaml as text; empty where there is none.
    """

    entry: Entry
    variant: str
    record: RunRecord
    outline: Mapping[str, Any]
    config: str

    @property
    def stages(self) -> list[Mapping[str, Any]]:
        """Those that have results."""
        stages = self.record.state.get("stages")
        known = [stage for stage in stages if isinstance(stage, dict)] if isinstance(stages, list) else []
        return [{**stage, "results": stage["results"]} for stage in known if isinstance(stage.get("results"), dict)]

    @property
    def summary(self) -> Mapping[str, Any]:
        """Its before and after; what stages so far have found where it has not ended."""
        summary = self.record.state.get("summary")
        summary = summary if isinstance(summary, dict) else {}
        return {side: summary.get(side) if isinstance(summary.get(side), dict) else {} for side in ("before", "after")}

    @property
    def seed(self) -> Any:
        return self.record.state.get("seed", "")

    @property
    def finished(self) -> bool:
        return self.entry.status == "finished"


@dataclass(frozen=True, kw_only=True)
class Group:
    """Runs that are compared: a study, or runs of one recipe in directories of their own.

    Attributes:
        name: the recipe's.
        study: its entry; None for runs by themselves.
        record: of the study, for what compares its runs; of the first run otherwise.
        views: all its runs that have begun, in the study's order.
        merit: by what their networks are judged.
        methods: variants that differ in how much they remove alone, as one method; in order, with its name.
    """

    name: str
    study: Entry | None
    record: RunRecord
    views: Sequence[View]
    merit: Merit = ACCURACY
    methods: Mapping[str, str] = field(default_factory=dict)

    @property
    def variants(self) -> list[str]:
        return list(dict.fromkeys(view.variant for view in self.views))

    def of(self, variant: str, *, finished: bool = True) -> list[View]:
        """Its runs of a variant."""
        return [view for view in self.views if view.variant == variant and (view.finished or not finished)]

    @property
    def done(self) -> list[View]:
        return [view for view in self.views if view.finished]


def groups_of(entries: Sequence[Entry], named: Callable[[Sequence[View]], Mapping[str, str]]) -> list[Group]:
    """Studies first as they come; runs by themselves together where their recipes have one name.

    Args:
        named: variants to methods, for the runs of a group.
    """
    found = [_study(entry) for entry in entries if entry.kind == "study"]
    alone: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.kind == "run":
            alone.setdefault(entry.name, []).append(entry)
    for name, runs in alone.items():
        views = [_view(run, _distinct(run.path, [other.path for other in runs])) for run in runs]
        found.append(Group(name=name or views[0].entry.path.name, study=None, record=views[0].record, views=views))
    return [
        Group(
            name=group.name,
            study=group.study,
            record=group.record,
            views=group.views,
            merit=next((merit for view in group.done if (merit := _merit(view)) is not ACCURACY), ACCURACY),
            methods=named(group.views),
        )
        for group in found
    ]


def figure_of(view: View, side: str, key: str) -> float | None:
    """A number of the summary; None where the run has none."""
    from secateurs.reporting.html._numbers import finite

    return finite(view.summary[side].get(key))


def latency_of(view: View, side: str) -> list[Mapping[str, Any]]:
    """Rows for batch sizes, as measured."""
    rows = view.summary[side].get("latency")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _study(entry: Entry) -> Group:
    views = [_view(run, _variant(entry, run)) for run in entry.runs]
    return Group(name=entry.name, study=entry, record=_record(entry.path), views=views)


def _variant(study: Entry, run: Entry) -> str:
    parts = run.path.relative_to(study.path).parts
    return "/".join(parts[:-1]) or parts[0]


def _distinct(path: Path, others: Sequence[Path]) -> str:
    """The end of the path that no other has."""
    parts = path.absolute().parts
    for length in range(1, len(parts) + 1):
        ending = parts[-length:]
        if sum(other.absolute().parts[-length:] == ending for other in others) == 1:
            return "/".join(ending)
    return str(path)


def _view(entry: Entry, variant: str) -> View:
    return View(
        entry=entry,
        variant=variant,
        record=_record(entry.path),
        outline=_mapping(entry.path / "graph.json"),
        config=_text(entry.path / "config.yaml"),
    )


def _record(path: Path) -> RunRecord:
    """As `read_run`, but for damaged files: of these, what can be read."""
    rows = []
    for line in _text(path / "metrics.jsonl").splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # half a line
            continue
        if isinstance(row, dict) and "stage" in row:
            rows.append(row)
    return RunRecord(path=path, state=_mapping(path / "run.json"), epochs=rows)


def _mapping(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(_text(file))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _merit(view: View) -> Merit:
    return merit_of(RunRecord(path=view.record.path, state={"stages": view.stages}, epochs=()))
