"""Axes: the free atoms of a traced model, grouped by where they show up, with names that stay."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from secateurs.graph._labels import NO_UNITS, Algebra, IntArray, Label
from secateurs.graph._occurrences import Occurrences, group_atoms
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
    algebra.settle(label for info in weights.values() for label in info.labels if label is not None)
    algebra.settle([*(mark.label for mark in marks), *borders])
    shown = Occurrences(algebra, weights)
    groups = group_atoms(shown, [algebra.free(label) for label in borders], branch_atoms(algebra, marks))
    facts = _Facts(algebra, weights, marks)
    drafts = [
        Draft(order=order, base=facts.base(order, own), kind=kind, exact=exact, members=own, atoms=atoms)
        for atoms, own, (order, kind, exact) in zip(
            groups, _members(groups, shown, facts), facts.of(groups), strict=True
        )
    ]
    return tuple(sorted(drafts, key=lambda draft: (draft.order, draft.kind == "branch")))


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
    algebra.settle(mark.label for mark in marks if mark.kind == "branch")
    for mark in marks:
        if mark.kind == "branch":
            branches[algebra.free(mark.label)] = True
    branches[0] = False
    return branches


class _Facts:
    """What the marks of a trace say about atoms."""

    def __init__(self, algebra: Algebra, weights: Mapping[str, Info], marks: Sequence[Mark]) -> None:
        self._marks, self._weights = marks, weights
        free = [algebra.free(mark.label).reshape(-1) for mark in marks]
        self._kinds = np.full(len(algebra), len(_PRIORITY), dtype=np.int64)
        for kind in reversed(range(len(_PRIORITY))):
            own = [atoms for atoms, mark in zip(free, marks, strict=True) if mark.kind == _PRIORITY[kind]]
            self._kinds[_joined(own)] = kind
        self._inexact = np.zeros(len(algebra), dtype=bool)
        self._inexact[_joined([atoms for atoms, mark in zip(free, marks, strict=True) if mark.kind == "inexact"])] = (
            True
        )
        made = [order for order, mark in enumerate(marks) if mark.kind != "inexact" and mark.path is not None][::-1]
        self._first = np.full(len(algebra), len(marks), dtype=np.int64)
        # The last to write is the first to produce.
        self._first[_joined([free[order] for order in made])] = np.repeat(made, [len(free[order]) for order in made])
        self._produced = {place for order in made for place in self._places(marks[order])}

    def _places(self, mark: Mark) -> list[tuple[str, int]]:
        """The dim whose label is the produced one or a slice of it: views share memory, equal atoms do not."""
        path = mark.path or ""
        info = self._weights.get(path)
        return [
            (path, dim)
            for dim, label in enumerate(() if info is None else info.labels)
            if label is mark.label or (label is not None and np.may_share_memory(label, mark.label))
        ]

    def of(self, groups: Sequence[IntArray]) -> list[tuple[int, Kind, bool]]:
        """Of each group of atoms: number of the mark of its first producer, kind, and whether it is exact."""
        if not groups:
            return []
        atoms, sizes = np.concatenate(groups), [len(own) for own in groups]
        starts = np.cumsum([0, *sizes[:-1]])
        orders = np.minimum.reduceat(self._first[atoms], starts).tolist()
        kinds = np.minimum.reduceat(self._kinds[atoms], starts).tolist()
        inexact = np.logical_or.reduceat(self._inexact[atoms], starts).tolist()
        names: tuple[Kind, ...] = (*_PRIORITY, "hidden")
        return [(order, names[kind], not rough) for order, kind, rough in zip(orders, kinds, inexact, strict=True)]

    def role(self, path: str, dim: int) -> Role:
        """What a dim of a weight is to the units on it."""
        if (path, dim) in self._produced:
            return "produces"
        return "reads" if sum(label is not None for label in self._weights[path].labels) > 1 else "scales"

    def base(self, order: int, members: Sequence[Member]) -> str:
        """The name of the operator that produces atoms first."""
        path = self._marks[order].path if order < len(self._marks) else None
        return (path or members[0].path).removesuffix(".weight").removesuffix("_weight")


def _joined(arrays: Sequence[IntArray]) -> IntArray:
    return np.concatenate([np.zeros(0, dtype=np.int64), *arrays])


def _members(groups: Sequence[IntArray], shown: Occurrences, facts: _Facts) -> list[tuple[Member, ...]]:
    """Members of every group of atoms, in one walk over the columns that they show up in."""
    members: list[list[Member]] = [[] for _ in groups]
    atoms, sizes = _joined(groups), [len(own) for own in groups]
    count = 1 + max(int(shown.atoms.max(initial=0)), int(atoms.max(initial=0)))
    group_of, unit_of = np.full(count, -1, dtype=np.int64), np.zeros(count, dtype=np.int64)
    group_of[atoms] = np.repeat(np.arange(len(groups)), sizes)
    unit_of[atoms] = np.arange(len(atoms)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    parts = _parts(shown, group_of[shown.atoms], unit_of[shown.atoms])
    for path, dim, columns in shown.places:
        role = facts.role(path, dim)
        for column in columns:
            for number, positions, units in parts[column]:
                members[number].append(Member(path=path, dim=dim, positions=positions, units=units, role=role))
    return [tuple(own) for own in members]


def _parts(shown: Occurrences, owners: IntArray, units: IntArray) -> list[list[tuple[int, IntArray, IntArray]]]:
    """Of each column the groups that show up there: number, positions, and units at these; by number.

    Args:
        owners, units: number of the group (-1 for none) and unit in it of every entry.
    """
    everything = _Ranges()
    parts: list[list[tuple[int, IntArray, IntArray]]] = []
    lowest, highest = (ends.tolist() for ends in shown.ends(owners))
    for start, length, low, high in zip(shown.starts.tolist(), shown.lengths.tolist(), lowest, highest, strict=True):
        own = units[start : start + length]
        if low == high:  # the usual case, without a sort
            parts.append([(low, everything[length], own)] if low >= 0 else [])
        else:
            found = _runs(owners[start : start + length])
            parts.append([(number, positions, own[positions]) for number, positions in found if number >= 0])
    return parts


class _Ranges(dict[int, IntArray]):
    """All positions of a dim by its size; the same array each time."""

    def __missing__(self, size: int) -> IntArray:
        positions = self[size] = np.arange(size)
        return positions


def _runs(numbers: IntArray) -> list[tuple[int, IntArray]]:
    """Each distinct number with its positions."""
    order = np.argsort(numbers, kind="stable")
    values = numbers[order]
    starts = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist()]
    return [
        (int(values[start]), order[start:stop]) for start, stop in zip(starts, [*starts[1:], len(order)], strict=True)
    ]


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
