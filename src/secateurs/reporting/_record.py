"""A run directory, read."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secateurs._errors import FileError

__all__ = ["RunRecord", "lasting", "member_runs", "read_run"]


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What a run left behind: `state` as in run.json, `epochs` as in metrics.jsonl, in the order of training."""

    path: Path
    state: Mapping[str, Any]
    epochs: Sequence[Mapping[str, Any]]

    @property
    def name(self) -> str:
        """The recipe's."""
        return str(self.state.get("name", self.path.name))

    def stages(self, kind: str) -> list[Mapping[str, Any]]:
        """The finished stages of a kind, in order."""
        return [
            stage
            for stage in self.state.get("stages", [])
            if stage.get("type") == kind and stage.get("status") == "finished"
        ]


def lasting(run: RunRecord, kind: str | None = None) -> list[Mapping[str, Any]]:
    """The finished stages (of a kind) whose work is in the network: neither left out nor undone by a limit."""
    done = [stage for stage in run.state.get("stages", []) if stage.get("status") == "finished"]
    results = {stage["name"]: stage.get("results") or {} for stage in done}
    undone = {name for each in results.values() for name in each.get("undone", ())}
    return [
        stage
        for stage in done
        if stage["name"] not in undone
        and "left_out" not in results[stage["name"]]
        and kind in (None, stage.get("type"))
    ]


def read_run(path: Path) -> RunRecord:
    """Read DIR/run.json and DIR/metrics.jsonl.

    Raises:
        FileError: no run directory, or a damaged one.
    """
    file = path / "run.json"
    try:
        state = json.loads(file.read_text(encoding="utf-8"))
        file = path / "metrics.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        epochs = [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise FileError(
            str(file), wanted="a run directory", got=str(reason), cure="Name the directory of a run."
        ) from error
    return RunRecord(path=path, state=state, epochs=epochs)


def member_runs(study: RunRecord) -> Iterator[tuple[str, RunRecord]]:
    """The runs of a study that have begun, each with the name of its variant."""
    for member in study.state.get("runs", []):
        folder = study.path / Path(member["path"])
        if (folder / "run.json").exists():
            yield member["variant"], read_run(folder)
