"""Axes: the free atoms of a traced model, grouped by where they show up, with names that stay."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from secateurs.graph._labels import NO_UNITS, Algebra, IntArray, Label
from secateurs.graph._record import Info, Mark

__all__ = ["Axis", "Draft", "Fixed", "Kind", "Member", "Role", "branch_atoms", "draft_axes", "find_fixed", "name_axes"]

Kind = Literal["channel", "hidden", "embed", "head", "head_dim", "group", "branch"]
BoolArray = npt.NDArray[np.bool_]
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Draft:
    """An axis before it has a name; `base` is what it will be named after."""

    order: int
    base: str
    kind: Kind
    exact: bool
    members: tuple[Member, ...]
    atoms: IntArray

    @property
    def size(self) -> int:
        """Number of units."""
        return len(self.atoms)


def draft_axes(
    algebra: Algebra, weights: Mapping[str, Info], marks: Sequence[Mark], borders: Sequence[Label] = ()
) -> tuple[Draft, ...]:
    """Group free atoms with equal sets of occurrences (parameter, dim, column) into axes, in execution order.

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
    branches = branch_atoms(algebra, marks)
    groups = _group_by_signature(occurrences, lines, branches)
    facts = _Facts(algebra, weights, marks)
    members = _members(groups, occurrences, facts)
    found = []
    for atoms, own in zip(groups, members, strict=True):
        order, base = facts.producer(atoms, own)
        kind, exact = facts.kind(atoms), facts.exact(atoms)
        found.append(Draft(order=order, base=base, kind=kind, exact=exact, members=own, atoms=atoms))
    return tuple(sorted(found, key=lambda draft: (draft.order, draft.kind == "branch")))


def name_axes(drafts: Sequence[Draft]) -> tuple[Axis, ...]:
    """The axes, each named after its producer, with its kind and a number where it is not the only one."""
    names = _names([(draft.base, draft.kind) for draft in drafts])
    return tuple(
        Axis(name=name, size=draft.size, kind=draft.kind, exact=draft.exact, members=draft.members, atoms=draft.atoms)
        for name, draft in zip(names, drafts, strict=True)
    )


def branch_atoms(algebra: Algebra, marks: Sequence[Mark]) -> BoolArray:
    """A mark per atom, set for the units of branches."""
    branches = np.zeros(len(algebra), dtype=bool)
    for mark in marks:
        if mark.kind == "branch":
            branches[algebra.free(mark.label)] = True
    branches[0] = False
    return branches


def _group_by_signature(
    occurrences: Sequence[_Occurrence], borders: Sequence[IntArray], branches: BoolArray
) -> list[IntArray]:
    """Atoms with equal occurrence sets, each group in the order of its first occurrence.

    A dim that has lost units of its own (a branch) holds part of a stream only; that does not divide the stream.
    """
    count = len(branches)
    flat = _Flat(occurrences)
    first_seen = np.full(count, -1, dtype=np.int64)
    first_seen[flat.atoms[::-1]] = flat.places[::-1]  # of several values, the last one stays: the first place
    first_seen[0] = -1
    parted = flat.touching(branches)
    signature = _signatures(flat.pairs(~parted, count), count)
    rest = flat.pairs(parted, count)
    signature += _signatures(rest[:, signature[rest[0]] == 0], count, seed=1)
    for number, column in enumerate(borders, start=2):
        signature[np.unique(column)] += np.random.default_rng(number).integers(1, 2**63, dtype=np.uint64)
    seen = np.flatnonzero(first_seen >= 0)
    seen = seen[np.argsort(first_seen[seen], kind="stable")]
    _, inverse = np.unique(signature[seen], return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    cuts = np.flatnonzero(np.diff(inverse[order])) + 1
    groups = [seen[part] for part in np.split(order, cuts) if len(part)]
    return sorted(groups, key=lambda atoms: int(first_seen[atoms[0]]))


class _Flat:
    """All occurrences one after the other: atoms, the dim that each is on, and its place in the whole."""

    def __init__(self, occurrences: Sequence[_Occurrence]) -> None:
        numbers: dict[tuple[str, int], int] = {}
        dims = [numbers.setdefault((entry.path, entry.dim), len(numbers)) for entry in occurrences]
        self.columns = np.repeat(np.arange(len(occurrences)), [len(entry.column) for entry in occurrences])
        self.atoms = np.concatenate([np.zeros(0, dtype=np.int64), *[entry.column for entry in occurrences]])
        self.dims = np.array(dims, dtype=np.int64)[self.columns]
        self.places = np.arange(len(self.atoms))

    def touching(self, marked: BoolArray) -> BoolArray:
        """Which entries are on a dim where a marked atom is."""
        dims = np.zeros(len(self.dims) + 1, dtype=bool)
        dims[self.dims[marked[self.atoms]]] = True
        touching: BoolArray = dims[self.dims]
        return touching

    def pairs(self, which: BoolArray, count: int) -> IntArray:
        """Distinct (atom, column) of some entries [2, n]."""
        codes = self.columns[which] * count + self.atoms[which]
        if np.count_nonzero(codes[1:] > codes[:-1]) < len(codes) - 1:
            codes.sort()  # numpy's `unique` takes many times as long
            codes = codes[np.concatenate([[True], codes[1:] != codes[:-1]])]
        return np.stack([codes % count, codes // count])


def _signatures(pairs: IntArray, count: int, seed: int = 0) -> npt.NDArray[np.uint64]:
    """Per atom, the sum of a random number for each of its columns: equal for equal sets."""
    signature = np.zeros(count, dtype=np.uint64)
    if pairs.size:
        numbers = np.random.default_rng(seed).integers(1, 2**63, size=int(pairs[1].max()) + 1, dtype=np.uint64)
        np.add.at(signature, pairs[0], numbers[pairs[1]])
    return signature


class _Facts:
    """What the marks of a trace say about atoms."""

    def __init__(self, algebra: Algebra, weights: Mapping[str, Info], marks: Sequence[Mark]) -> None:
        count = len(algebra)
        self._marks, self._weights = marks, weights
        self._kinds = np.full(count, len(_PRIORITY), dtype=np.int64)
        self._inexact = np.zeros(count, dtype=bool)
        self._first = np.full(count, len(marks), dtype=np.int64)
        self._produced: set[tuple[str, int]] = set()
        for order, mark in enumerate(marks):
            atoms = algebra.free(mark.label)
            if mark.kind == "inexact":
                self._inexact[atoms] = True
                continue
            self._kinds[atoms] = np.minimum(self._kinds[atoms], _PRIORITY.index(mark.kind))
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
        return (*_PRIORITY, "hidden")[int(self._kinds[atoms].min())]

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
        role = facts.role(entry.path, entry.dim)
        for positions in _runs(own):
            number = int(own[positions[0]])
            if number >= 0:
                units = unit_of[entry.column[positions]]
                member = Member(path=entry.path, dim=entry.dim, positions=positions, units=units, role=role)
                members[number].append(member)
    return [tuple(own) for own in members]


def _runs(numbers: IntArray) -> list[IntArray]:
    """Positions of each distinct number."""
    if len(numbers) and not np.count_nonzero(numbers != numbers[0]):
        return [np.arange(len(numbers))]  # the usual case, without a sort
    order = np.argsort(numbers, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)


def _names(entries: Sequence[tuple[str, Kind]]) -> list[str]:
    """The base name where it is the only one, else with its kind, else with its kind and a number.

    Branches always say so, and leave the names of other axes as they are.
    """
    bases = Counter(base for base, kind in entries if kind != "branch")
    totals = Counter(entries)
    seen: dict[tuple[str, Kind], int] = {}
    names = []
    for base, kind in entries:
        if kind != "branch" and bases[base] == 1:
            names.append(base)
            continue
        seen[base, kind] = seen.get((base, kind), 0) + 1
        number = seen[base, kind]
        repeated = totals[base, kind] > 1
        names.append(f"{base}:{kind}{f'.{number}' if repeated else ''}")
    return names


def find_fixed(algebra: Algebra, weights: Mapping[str, Info], marks: Sequence[Mark]) -> tuple[Fixed, ...]:
    """Every parameter dim with positions that may not be cut, one entry per reason; branches make no difference."""
    found = []
    branches = branch_atoms(algebra, marks)
    for path, info in weights.items():
        for dim, label in enumerate(info.labels):
            if label is not None:
                found += _fixed_rows(algebra, path, dim, label, branches)
    return tuple(found)


def _fixed_rows(algebra: Algebra, path: str, dim: int, label: Label, branches: BoolArray) -> list[Fixed]:
    """Positions that stay whole, and positions of which one factor (the heads, the groups) does."""
    roots = algebra.factors(label)
    roots = np.where(branches[roots], 0, roots)
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
