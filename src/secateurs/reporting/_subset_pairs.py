"""Networks that differ in one thing only, compared pair by pair."""

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from secateurs.reporting._channels import channel_difference
from secateurs.reporting._subset_runs import ALL, Removed, SubsetRun

__all__ = ["Cell", "Difference", "cells", "channel_differences", "deltas", "dense_accuracy", "levels_of", "seed_means"]

Value = Callable[[SubsetRun], float | None]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The runs that differ in their seeds only."""

    network: str
    subset: str
    way: str
    percent: int
    runs: tuple[SubsetRun, ...]

    def values(self, value: Value) -> list[float]:
        """Of all runs that have it."""
        return [found for found in map(value, self.runs) if found is not None]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How unlike the cuts of one network at one level are: 0, the same; 1, nothing in common.

    Attributes:
        kind: what the two networks of each pair were trained on before they were cut.
    """

    network: str
    percent: int
    kind: str
    values: tuple[float, ...]


def cells(runs: Sequence[SubsetRun]) -> list[Cell]:
    """All of them, in the order of networks, subsets, levels and ways."""
    found: dict[tuple[str, str, int, str], list[SubsetRun]] = {}
    for run in runs:
        found.setdefault((run.network, run.subset, run.percent, run.way), []).append(run)
    return [
        Cell(network=network, subset=subset, percent=percent, way=way, runs=tuple(own))
        for (network, subset, percent, way), own in found.items()
    ]


def levels_of(runs: Sequence[SubsetRun]) -> list[int]:
    """Percentages that were asked to be removed, ascending."""
    return sorted({run.percent for run in runs if run.percent})


def dense_accuracy(runs: Sequence[SubsetRun], network: str, subset: str, value: Value) -> float | None:
    """Of the whole network, before any training on the subset."""
    own = [run for run in runs if (run.network, run.subset, run.way) == (network, subset, "unpruned")]
    values = [found for found in map(value, own) if found is not None]
    return statistics.fmean(values) if values else None


def deltas(runs: Sequence[SubsetRun], first: Cell, way: str, value: Value) -> list[float]:
    """What the runs of `first` have more than those of another way, seed by seed."""
    place = (first.network, first.subset, first.percent, way)
    other = {run.seed: value(run) for run in runs if (run.network, run.subset, run.percent, run.way) == place}
    pairs = [(value(run), other.get(run.seed)) for run in first.runs]
    return [mine - theirs for mine, theirs in pairs if mine is not None and theirs is not None]


def seed_means(found: Sequence[Cell], value: Value) -> list[float]:
    """Of each of these, the mean over its seeds."""
    values = [cell.values(value) for cell in found]
    return [statistics.fmean(own) for own in values if own]


def channel_differences(sets: Sequence[Removed]) -> list[Difference]:
    """By network and level: subset against everything, subset against subset, seed against seed."""
    found: dict[tuple[str, int, str], list[float]] = {}
    for one, other in itertools.combinations(sets, 2):
        if (one.network, one.percent) != (other.network, other.percent):
            continue
        kind = _kind(one, other)
        if kind is not None:
            place = (one.network, one.percent, kind)
            found.setdefault(place, []).append(channel_difference(one.channels, other.channels))
    return [
        Difference(network=network, percent=percent, kind=kind, values=tuple(values))
        for (network, percent, kind), values in sorted(found.items())
    ]


def _kind(one: Removed, other: Removed) -> str | None:
    """None for pairs that differ in more than one thing."""
    if one.classes == other.classes:
        return f"two seeds, {one.classes}" if one.seed != other.seed and one.classes != ALL else None
    if ALL in (one.classes, other.classes):
        everything, aware = (one, other) if one.classes == ALL else (other, one)
        # Networks that were cut first are the same for all seeds.
        alike = everything.before is None or everything.seed == aware.seed
        return f"{aware.classes} and all classes" if alike else None
    return f"{' and '.join(sorted((one.classes, other.classes)))}" if one.seed == other.seed else None
