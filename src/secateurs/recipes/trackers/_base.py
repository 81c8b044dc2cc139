"""What a tracker is told, and what it must do."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

__all__ = ["About", "Status", "Tracker", "flat", "numbers"]

Status = Literal["finished", "failed"]


@dataclass(frozen=True, kw_only=True)
class About:
    """The run that is tracked.

    Attributes:
        id: its own in every tracker, kept in run.json: a resumed run continues under it.
        name: the run directory's, with `variant/seed` where it belongs to a study.
        study: the recipe's name.
        part: `variant/seed`, empty for a run alone.
        config: the resolved recipe.
        folder: the run directory.
        home: the study's directory.
    """

    id: str
    name: str
    study: str
    part: str
    config: Mapping[str, Any]
    folder: Path
    home: Path


class Tracker(Protocol):
    """One service, used by one thread of its own. What it raises ends the tracking, not the run.

    It may be told of what it has already, after a kill; it must know, and let nothing stand twice.
    """

    def open(self, about: About) -> None:
        """Start, or continue under the same id."""

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Figures of the epoch with that number, counted over all stages from 0."""

    def results(self, number: int, values: Mapping[str, float]) -> None:
        """Figures of a finished stage or of the whole run; `number` epochs were done by then."""

    def close(self, status: Status) -> None:
        """The end, or an interruption."""


def flat(value: Any, prefix: str) -> dict[str, Any]:
    """Everything inside mappings and lists, by dotted path; None is left out."""
    if isinstance(value, Mapping | list | tuple):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        return {
            path: inner
            for key, entry in items
            for path, inner in flat(entry, f"{prefix}.{key}" if prefix else str(key)).items()
        }
    return {} if value is None else {prefix: value}


def numbers(values: Mapping[str, Any], prefix: str) -> dict[str, float]:
    """The numbers in nested mappings, as `prefix/key/key`; lists and words are for run.json."""
    found: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= numbers(value, f"{prefix}/{key}")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{prefix}/{key}"] = value
    return found
