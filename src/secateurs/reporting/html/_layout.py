"""Where the rows and the lanes of a network's picture are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from secateurs.reporting.html._numbers import finite

__all__ = ["Layout", "Node", "Rail", "Row", "laid_out", "visible"]

_SHOWN = 44
"""Rows that a picture begins with: more than fit a screen are folded into the modules around them."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A layer: what it is called, and its multiply-adds and parameters before and after."""

    path: str
    type: str
    macs: tuple[float, float]
    params: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Rail:
    """An axis: a line from the first layer that makes or reads its units to the last.

    Attributes:
        number: its place among the axes, which gives its colour.
        makes: rows of layers that make its units.
        reads: rows of those that read them.
        lane: its place beside others.
        where: every dim in which it shows up.
    """

    number: int
    name: str
    kind: str
    size: int
    kept: int
    exact: bool
    makes: frozenset[int]
    reads: frozenset[int]
    lane: int
    where: tuple[str, ...]

    @property
    def first(self) -> int:
        return min(self.makes | self.reads)

    @property
    def last(self) -> int:
        return max(self.makes | self.reads)


@dataclass(frozen=True, kw_only=True)
class Node:
    """A layer, or a module around some.

    Attributes:
        name: its path below the module around it.
        path: the whole one.
        start, stop: its rows.
        inner: what is in it; empty for a layer.
        opened: whether the picture begins with what is in it.
    """

    name: str
    path: str
    start: int
    stop: int
    inner: tuple["Node", ...] = ()
    opened: bool = False


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A network's picture, before it is drawn."""

    name: str
    rows: Sequence[Row]
    rails: Sequence[Rail]
    nodes: Sequence[Node]

    @property
    def lanes(self) -> int:
        return max((rail.lane for rail in self.rails), default=-1) + 1

    @property
    def widest(self) -> int:
        return max((rail.size for rail in self.rails), default=1)

    @property
    def is_cut(self) -> bool:
        return any(rail.kept < rail.size for rail in self.rails)


def laid_out(outline: Mapping[str, Any], kept: Mapping[str, int] | None = None) -> Layout:
    """The layout of an outline (`secateurs.graph.outline`).

    Args:
        kept: units that are left of axes; what the outline says by itself where it is None.
    """
    rows = [_row(module) for module in outline.get("modules", ())]
    places = {row.path: number for number, row in enumerate(rows)}
    rails = [
        rail
        for number, axis in enumerate(outline.get("axes", ()))
        if (rail := _rail(number, axis, places, kept)) is not None
    ]
    nodes = _nodes([(number, row.path.split(".")) for number, row in enumerate(rows)], "")
    return Layout(name=str(outline.get("network", "")), rows=rows, rails=_in_lanes(rails), nodes=_opened(nodes))


def _row(module: Mapping[str, Any]) -> Row:
    macs, params = ((finite(module[key][0]) or 0.0, finite(module[key][1]) or 0.0) for key in ("macs", "params"))
    return Row(path=str(module["path"]), type=str(module["type"]), macs=macs, params=params)


def _rail(
    number: int, axis: Mapping[str, Any], places: Mapping[str, int], kept: Mapping[str, int] | None
) -> Rail | None:
    """None for an axis of modules that are not in the picture."""
    found: dict[str, set[int]] = {"produces": set(), "reads": set()}
    for member in axis["members"]:
        owner = str(member["path"]).rpartition(".")[0]
        if member["role"] in found and owner in places:
            found[member["role"]].add(places[owner])
    if not found["produces"] | found["reads"]:
        return None
    name, size = str(axis["name"]), int(axis["size"])
    left = int(axis["kept"]) if kept is None else kept.get(name, size)
    return Rail(
        number=number,
        name=name,
        kind=str(axis["kind"]),
        size=size,
        kept=left,
        exact=bool(axis["exact"]),
        makes=frozenset(found["produces"]),
        reads=frozenset(found["reads"]),
        lane=0,
        where=tuple(f"{member['role']}: {member['path']}[{member['dim']}]" for member in axis["members"]),
    )


def _in_lanes(rails: Sequence[Rail]) -> list[Rail]:
    """Long ones on the left; each as far left as no other is in its way."""
    lanes: list[list[Rail]] = []
    placed: dict[int, int] = {}
    for rail in sorted(rails, key=lambda rail: (rail.first - rail.last, rail.number)):
        free = (
            number
            for number, lane in enumerate(lanes)
            if all(other.last < rail.first or rail.last < other.first for other in lane)
        )
        number = next(free, len(lanes))
        if number == len(lanes):
            lanes.append([])
        lanes[number].append(rail)
        placed[rail.number] = number
    return [replace(rail, lane=placed[rail.number]) for rail in rails]


def _nodes(rows: Sequence[tuple[int, Sequence[str]]], around: str) -> tuple[Node, ...]:
    """Neighbours whose paths begin alike are in one node; a node of one is not."""
    found = []
    for first, group in groupby(rows, key=lambda row: row[1][0] if len(row[1]) > 1 else None):
        own = list(group)
        if first is None or len(own) == 1:
            found += [_leaf(number, parts, around) for number, parts in own]
            continue
        path = f"{around}.{first}" if around else first
        inner = _nodes([(number, parts[1:]) for number, parts in own], path)
        if len(inner) == 1 and inner[0].inner:  # a module that only holds another
            found.append(replace(inner[0], name=f"{first}.{inner[0].name}"))
        else:
            found.append(Node(name=first, path=path, start=own[0][0], stop=own[-1][0] + 1, inner=inner))
    return tuple(found)


def _leaf(number: int, parts: Sequence[str], around: str) -> Node:
    name = ".".join(parts)
    return Node(name=name, path=f"{around}.{name}" if around else name, start=number, stop=number + 1)


def _opened(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """Outer modules are opened first, and all of a depth or none: as many as leave the picture readable."""
    depth = 0
    while depth < 12 and _count(nodes, depth + 1) <= _SHOWN and _count(nodes, depth + 1) > _count(nodes, depth):
        depth += 1
    # Next to nothing to see: one depth more, whatever it takes.
    depth += _count(nodes, depth) < 4
    return tuple(_open(node, depth) for node in nodes)


def _open(node: Node, depth: int) -> Node:
    if not node.inner or depth <= 0:
        return node
    return replace(node, opened=True, inner=tuple(_open(inner, depth - 1) for inner in node.inner))


def _count(nodes: Sequence[Node], depth: int) -> int:
    return sum(1 if not node.inner or depth <= 0 else 1 + _count(node.inner, depth - 1) for node in nodes)


def visible(nodes: Sequence[Node], depth: int = 0) -> Iterator[tuple[int, Node]]:
    """Rows that the picture begins with, each with its depth."""
    for node in nodes:
        yield depth, node
        if node.opened:
            yield from visible(node.inner, depth + 1)
