"""Where a running model shows the activations of units."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from secateurs._errors import PlanError
from secateurs.graph import Activation, Axis, Family, Graph

__all__ = ["At", "Part", "Place", "Source", "columns_of", "places_of", "source_of"]

At = Literal["read", "norm"]
_ORDER: Mapping[At, tuple[Family, ...]] = {
    "read": ("rectifier", "gate", "recurrent", "product", "input"),
    "norm": ("norm", "rectifier", "gate", "recurrent", "product", "input"),
}

IntArray = npt.NDArray[np.int64]
Source = tuple[str, str]
"""What is counted: ("rectifier", ""), ("product", path of a weight) or ("module", path)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """A dim of a tensor with units on it; units of all axes are numbered through.

    Attributes:
        dim: counted from the back.
        size: of the dim.
        positions: int64 [n], places on the dim.
        columns: int64 [n], the unit at each of them.
        weights: float64 [n], by which these add up to the mean over all places and positions of a unit.
    """

    dim: int
    size: int
    positions: IntArray
    columns: IntArray
    weights: npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """The result of one call: which, in succession, of a source."""

    source: Source
    number: int
    parts: tuple[Part, ...]


def source_of(family: Family, weight: str) -> Source:
    """The source that an operator belongs to."""
    return family, weight


def columns_of(graph: Graph) -> dict[str, slice]:
    """The numbers of every axis's units among those of all axes."""
    ends = np.cumsum([0, *(axis.size for axis in graph.axes)]).tolist()
    return {axis.name: slice(start, stop) for axis, start, stop in zip(graph.axes, ends[:-1], ends[1:], strict=True)}


def places_of(graph: Graph, at: At) -> tuple[Place, ...]:
    """All places, in execution order within each source.

    Raises:
        PlanError: an axis whose units no operator shows that could be told again.
    """
    columns = columns_of(graph)
    scattered = _scattered(graph, columns) if at == "read" else {}
    others = [axis for axis in graph.axes if axis.name not in scattered]
    found = [*_ordinary(graph, at, columns, others), *_branches(graph, at, columns), *scattered.values()]
    seen = np.zeros(sum(axis.size for axis in graph.axes), dtype=np.int64)
    for place in found:
        for part in place.parts:
            seen[np.unique(part.columns)] += 1
    missing = [axis.name for axis in graph.axes if not seen[columns[axis.name]].all()]
    if missing:
        raise PlanError(
            f"criterion 'unitmem', axis {missing[0]!r}",
            wanted="an activation, a norm, or a product that makes or reads its units",
            got="other operators" + (f", as for {len(missing) - 1} more axes" if missing[1:] else ""),
            cure="Take another criterion for this model.",
        )
    return tuple(
        replace(place, parts=tuple(replace(part, weights=part.weights / seen[part.columns]) for part in place.parts))
        for place in found
    )


def _ordinary(graph: Graph, at: At, columns: Mapping[str, slice], axes: Sequence[Axis]) -> list[Place]:
    """Of each axis those of the first family that has any; of a stream that is all along it."""
    unit_of, families = _lookup(graph, columns, axes), _ORDER[at]
    shown = [
        (place, families.index(activation.family), dim, unit_of[graph.algebra.free(label)])
        for place, activation in _numbered(graph.activations)
        for dim, label in enumerate(activation.labels, -len(activation.labels))
        if label is not None and activation.family in families
    ]
    # All units of an axis show up together, so that what is first for one is first for all.
    first = np.full(sum(axis.size for axis in graph.axes) + 1, len(families))
    for _, rank, _, units in shown:
        np.minimum.at(first, units, rank)
    found: dict[tuple[Source, int], list[Part]] = {}
    for place, rank, dim, units in shown:
        part = _part(dim, np.where(first[units] == rank, units, -1))
        if len(part.columns):
            found.setdefault(place, []).append(part)
    return [Place(source=source, number=number, parts=tuple(parts)) for (source, number), parts in found.items()]


def _branches(graph: Graph, at: At, columns: Mapping[str, slice]) -> Iterator[Place]:
    """Behind the nonlinearity that the sum goes through, else (or `at` the norm) what the branch gives to the sum."""
    unit_of = _lookup(graph, columns, [axis for axis in graph.axes if axis.kind == "branch"])
    rectified = [
        (place, activation.operator, dim, graph.algebra.resolve(label))
        for place, activation in _numbered(graph.activations)
        for dim, label in enumerate(activation.labels, -len(activation.labels))
        if activation.family == "rectifier" and label is not None
    ]
    for branch in graph.branches:
        units = unit_of[graph.algebra.free(branch.narrow)]
        if not (units >= 0).any():
            continue
        wide = graph.algebra.resolve(branch.wide)
        behind = (
            (place, dim)
            for place, operator, dim, label in rectified
            if at == "read" and operator >= branch.operator and np.array_equal(label, wide)
        )
        (source, number), dim = next(behind, ((("module", branch.path), 0), branch.dim))
        yield Place(source=source, number=number, parts=(_part(dim, units),))


def _scattered(graph: Graph, columns: Mapping[str, slice]) -> dict[str, Place]:
    """Branches that an earlier cut has made narrow: still behind the nonlinearity that their sum goes through.

    Their units go with the places of the stream that they are written to, or alone; those places are looked for.
    """
    found = {}
    rectified = [
        (place, activation) for place, activation in _numbered(graph.activations) if activation.family == "rectifier"
    ]
    whole = [graph.algebra.free(branch.narrow) for branch in graph.branches]
    for axis in graph.axes:
        stream, begin = _stream_of(graph, axis), _last_seen(graph, axis)
        if stream is None or any(np.isin(axis.atoms, label).any() for label in whole):
            continue
        for place, activation in rectified:
            part = _written(graph, activation, stream, columns[axis.name].start)
            if part is not None and activation.operator > begin:
                found[axis.name] = Place(source=place[0], number=place[1], parts=(part,))
                break
    return found


def _stream_of(graph: Graph, axis: Axis) -> list[bytes] | None:
    """For each unit of a narrow branch, what the place of the stream is known by that it is written to."""
    made = [member for member in axis.members if member.role == "produces"]
    if axis.kind != "branch" or len(made) != 1 or len(made[0].positions) != axis.size:
        return None
    label = graph.weights[made[0].path].labels[made[0].dim]
    assert label is not None
    rows = graph.algebra.resolve(label)
    alone = (rows[made[0].positions] == axis.atoms[made[0].units, None]).all(0)
    if alone.sum() != 1 or len(rows) != axis.size:
        return None
    places = rows[:, ~alone]
    keys = [np.ascontiguousarray(row).tobytes() for row in places[np.argsort(made[0].units)]]
    # What may not be cut all looks alike.
    return keys if len(set(keys)) == len(keys) and places.all() else None


def _last_seen(graph: Graph, axis: Axis) -> int:
    """The last operator that still shows the units themselves; -1 where none of those looked at does."""
    seen = [
        activation.operator
        for activation in graph.activations
        for label in activation.labels
        if label is not None and np.isin(graph.algebra.free(label), axis.atoms).any()
    ]
    return max(seen, default=-1)


def _written(graph: Graph, activation: Activation, stream: Sequence[bytes], start: int) -> Part | None:
    """The dim of a result on which all of these places are."""
    for dim, label in enumerate(activation.labels, -len(activation.labels)):
        if label is None:
            continue
        rows = graph.algebra.resolve(label)
        where = {np.ascontiguousarray(row).tobytes(): position for position, row in enumerate(rows)}
        if len(where) == len(rows) and all(key in where for key in stream):
            units = np.full((len(rows), 1), -1)
            units[[where[key] for key in stream], 0] = start + np.arange(len(stream))
            return _part(dim, units)
    return None


def _numbered(activations: Sequence[Activation]) -> Iterator[tuple[tuple[Source, int], Activation]]:
    counts: Counter[Source] = Counter()
    for activation in activations:
        source = source_of(activation.family, activation.weight)
        yield (source, counts[source]), activation
        counts[source] += 1


def _lookup(graph: Graph, columns: Mapping[str, slice], axes: Iterable[Axis]) -> IntArray:
    """The unit of every atom of the algebra; -1 where it belongs to none of these axes."""
    unit_of = np.full(len(graph.algebra), -1)
    for axis in axes:
        unit_of[axis.atoms] = np.arange(axis.size) + columns[axis.name].start
    unit_of[0] = -1
    return unit_of


def _part(dim: int, units: IntArray) -> Part:
    """From units [n, k] of each position, -1 for none."""
    positions, factors = np.nonzero(units >= 0)
    columns = units[positions, factors]
    counts = np.bincount(columns) if len(columns) else np.zeros(1)
    weights = 1 / counts[columns] if len(columns) else np.zeros(0)
    return Part(dim=dim, size=len(units), positions=positions, columns=columns, weights=weights)
