"""Axes: the free atoms of a traced model, grouped by where they show up, with names that stay."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from secateurs.graph._labels import NO_UNITS, Algebra, IntArray, Label
from secateurs.graph._record import Info, Mark

__all__ = ["Axis", "Fixed", "Kind", "Member", "Role", "find_axes", "find_fixed"]

Kind = Literal["channel", "hidden", "embed", "head", "head_dim", "group", "branch"]
Role = Literal["produces", "reads", "scales"]
_PRIORITY: tuple[Kind, ...] = ("branch", "head", "head_dim", "group", "embed", "channel", "hidden")


@dataclass(frozen=True, kw_only=True, eq=False)
class Member:
    """A dim of a parameter or buffer where an axis shows up.

    Attributes:
        path: of the parameter or buffer.
        dim: of that tensor.
        positions: int array [n], the places on that dim that belong to the axis, ascending.
        units: int array [n], the unit of the axis at each of these places.
        role: `produces` where the axis is an output of the weight, `reads` where it is an input, `scales` for what
            is per unit (biases, norms, running statistics).
    """

    path: str
    dim: int
    positions: IntArray
    units: IntArray
    role: Role


@dataclass(frozen=True, kw_only=True, eq=False)
class Axis:
    """One prunable dimension.

    Attributes:
        name: of its first producer in execution order.
        size: number of units.
        kind: what a unit is.
        exact: whether zeroing a unit where it is read equals removing it; not so across normalisations.
        members: every parameter and buffer dim that it shows up in.
        atoms: int array [size], the root of every unit in the graph's algebra.
    """

    name: str
    size: int
    kind: Kind
    exact: bool
    members: tuple[Member, ...] = field(repr=False)
    atoms: IntArray = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """Positions of a parameter dim that may not be cut, and why."""

    path: str
    dim: int
    count: int
    size: int
    why: str

    def __str__(self) -> str:
        part = "" if self.count == self.size else f" ({self.count} of {self.size})"
        return f"{self.path}[{self.dim}]{part}: {self.why}"


@dataclass(frozen=True, kw_only=True)
class _Occurrence:
    path: str
    dim: int
    column: IntArray


def find_axes(
    algebra: Algebra, weights: Mapping[str, Info], marks: Sequence[Mark], borders: Sequence[Label] = ()
) -> tuple[Axis, ...]:
    """Group free atoms with equal sets of occurrences (parameter, dim, column) into axes.

    Args:
        borders: further labels; atoms inside and outside of one belong to different axes.
    """
    occurrences = [
        _Occurrence(path=path, dim=dim, column=column)
        for path, info in weights.items()
        for dim, label in enumerate(info.labels)
        if label is not None
        for column in algebra.free(label).T
    ]
    lines = [column for label in borders for column in algebra.free(label).T]
    groups = _group_by_signature([entry.column for entry in occurrences], lines, len(algebra))
    facts = _Facts(algebra, weights, marks)
    members = _members(groups, occurrences, facts)
    found = []
    for atoms, own in zip(groups, members, strict=True):
        order, base = facts.producer(atoms, own)
        found.append((order, base, facts.kind(atoms), facts.exact(atoms), own, atoms))
    found.sort(key=lambda entry: entry[0])
    names = _names([(base, kind) for _, base, kind, *_ in found])
    return tuple(
        Axis(name=name, size=len(atoms), kind=kind, exact=exact, members=own, atoms=atoms)
        for name, (_, _, kind, exact, own, atoms) in zip(names, found, strict=True)
    )


def _group_by_signature(columns: Sequence[IntArray], borders: Sequence[IntArray], count: int) -> list[IntArray]:
    """Atoms with equal occurrence sets, each group in the order of its first occurrence in `columns`."""
    random = np.random.default_rng(0)
    signature = np.zeros(count, dtype=np.uint64)
    first_seen = np.full(count, -1, dtype=np.int64)
    position = 0
    for column in columns:
        atoms, first = np.unique(column, return_index=True)
        signature[atoms] += random.integers(1, 2**63, dtype=np.uint64)
        new = first_seen[atoms] < 0
        first_seen[atoms[new]] = position + first[new]
        position += len(column)
    for column in borders:
        signature[np.unique(column)] += random.integers(1, 2**63, dtype=np.uint64)
    first_seen[0] = -1
    seen = np.flatnonzero(first_seen >= 0)
    seen = seen[np.argsort(first_seen[seen], kind="stable")]
    _, inverse = np.unique(signature[seen], return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    cuts = np.flatnonzero(np.diff(inverse[order])) + 1
    return [seen[part] for part in np.split(order, cuts) if len(part)]


class _Facts:
    """What the marks of a trace say about atoms."""

    def __init__(self, algebra: Algebra, weights: Mapping[str, Info], marks: Sequence[Mark]) -> None:
        count = len(algebra)
        self._marks, self._weights = marks, weights
        self._kinds = {kind: np.zeros(count, dtype=bool) for kind in _PRIORITY}
        self._inexact = np.zeros(count, dtype=bool)
        self._first = np.full(count, len(marks), dtype=np.int64)
        self._produced: set[tuple[str, int]] = set()
        for order, mark in enumerate(marks):
            atoms = np.unique(algebra.free(mark.label))
            if mark.kind == "inexact":
                self._inexact[atoms] = True
                continue
            self._kinds[mark.kind][atoms] = True
            if mark.path is not None:
                self._first[atoms] = np.minimum(self._first[atoms], order)
                self._note_produced(mark.path, mark.label)

    def _note_produced(self, path: str, produced: Label) -> None:
        """The dim whose label is the produced one or a slice of it: views share memory, equal atoms do not."""
        if path in self._weights:
            for dim, label in enumerate(self._weights[path].labels):
                if label is not None and np.may_share_memory(label, produced):
                    self._produced.add((path, dim))

    def kind(self, atoms: IntArray) -> Kind:
        return next((kind for kind in _PRIORITY if self._kinds[kind][atoms].any()), "hidden")

    def exact(self, atoms: IntArray) -> bool:
        return not self._inexact[atoms].any()

    def role(self, path: str, dim: int) -> Role:
        if (path, dim) in self._produced:
            return "produces"
        return "reads" if sum(label is not None for label in self._weights[path].labels) > 1 else "scales"

    def producer(self, atoms: IntArray, members: Sequence[Member]) -> tuple[int, str]:
        """Order and name of the first operator that produces the atoms."""
        order = int(self._first[atoms].min())
        path = self._marks[order].path if order < len(self._marks) else None
        return order, (path or members[0].path).removesuffix(".weight").removesuffix("_weight")


def _members(groups: Sequence[IntArray], occurrences: Sequence[_Occurrence], facts: _Facts) -> list[tuple[Member, ...]]:
    """Members of every group of atoms, in one walk over the occurrences."""
    count = 1 + max((int(atoms.max()) for atoms in groups), default=0)
    group_of, unit_of = np.full(count, -1, dtype=np.int64), np.zeros(count, dtype=np.int64)
    for number, atoms in enumerate(groups):
        group_of[atoms], unit_of[atoms] = number, np.arange(len(atoms))
    members: list[list[Member]] = [[] for _ in groups]
    for entry in occurrences:
        own = group_of[entry.column]
        order = np.argsort(own, kind="stable")
        cuts = np.flatnonzero(np.diff(own[order])) + 1
        for positions in np.split(order, cuts):
            number = int(own[positions[0]])
            if number >= 0:
                units, role = unit_of[entry.column[positions]], facts.role(entry.path, entry.dim)
                member = Member(path=entry.path, dim=entry.dim, positions=positions, units=units, role=role)
                members[number].append(member)
    return [tuple(own) for own in members]


def _names(entries: Sequence[tuple[str, Kind]]) -> list[str]:
    """The base name where it is the only one, else with its kind, else with its kind and a number."""
    bases = [base for base, _ in entries]
    seen: dict[tuple[str, Kind], int] = {}
    names = []
    for base, kind in entries:
        if bases.count(base) == 1:
            names.append(base)
            continue
        seen[base, kind] = seen.get((base, kind), 0) + 1
        number = seen[base, kind]
        repeated = entries.count((base, kind)) > 1
        names.append(f"{base}:{kind}{f'.{number}' if repeated else ''}")
    return names


def find_fixed(algebra: Algebra, weights: Mapping[str, Info]) -> tuple[Fixed, ...]:
    """Every parameter dim with positions that may not be cut, one entry per reason."""
    found = []
    for path, info in weights.items():
        for dim, label in enumerate(info.labels):
            if label is not None:
                found += _fixed_rows(algebra, path, dim, label)
    return tuple(found)


def _fixed_rows(algebra: Algebra, path: str, dim: int, label: Label) -> list[Fixed]:
    """Positions that stay whole, and positions of which one factor (the heads, the groups) does."""
    roots = algebra.factors(label)
    fixed = algebra.is_fixed(roots) & (roots > 0)
    whole = np.asarray((fixed | (roots == 0)).all(1))
    found = []
    for rows, prefix in ((whole, ""), (~whole & fixed.any(1), "in one factor, ")):
        held = np.where(fixed[rows], roots[rows], 0)
        counts: dict[str, int] = {}
        for root in np.unique(held[held > 0]):
            why = algebra.reason(int(root))
            counts[why] = counts.get(why, 0) + int((held == root).any(1).sum())
        counts.pop(NO_UNITS, None)
        found += [
            Fixed(path=path, dim=dim, count=min(n, len(held)), size=len(label), why=prefix + why)
            for why, n in counts.items()
        ]
    return found
