"""Sizes that the code computes from each other: axes that only follow one another when cut by equal shares.

`C // num_heads` ties the number of channels to the number of units per head, though no weight ties their indices. Such
axes form a coupling: one step removes the same share of each. Which units go is free within each axis.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import gcd, prod

import numpy as np
import numpy.typing as npt

from secateurs.graph._axes import Draft
from secateurs.graph._labels import Algebra, Label
from secateurs.graph._record import Mark, Record, SizeUse
from secateurs.graph.sizes._provenance import Attribute, attributes_in, labels_in
from secateurs.graph.sizes._solve import Conflict, SizeSolver

__all__ = ["Coupling", "EqualShares", "number_marks", "size_labels", "tie_attributes"]


@dataclass(frozen=True, kw_only=True)
class Coupling:
    """Axes that are cut by equal shares.

    Attributes:
        shares: axis name to the units that one step removes from it.
        steps: how many steps there are; fewer than that can be taken, so that every axis keeps a share.
        why: where the code computes one size from another.
    """

    shares: Mapping[str, int]
    steps: int
    why: str

    def even(self, removed: Mapping[str, int]) -> bool:
        """Whether every axis loses the same whole number of steps."""
        lost = {removed.get(name, 0) / share for name, share in self.shares.items()}
        return len(lost) == 1 and lost.pop().is_integer()

    def __str__(self) -> str:
        parts = ", ".join(f"{share} of {name}" for name, share in self.shares.items())
        return f"{self.steps} steps of {parts}: {self.why}"


def tie_attributes(algebra: Algebra, record: Record) -> None:
    """Dims sized by one attribute are cut index by index, where each has one plain column of units.

    Where one is a product (heads times head size) their counts are tied only.
    """
    first: dict[Attribute, SizeUse] = {}
    for use in record.sizes:
        if isinstance(use.expression, Attribute):
            other = first.setdefault(use.expression, use)
            if other is use or other.label is use.label or len(other.label) != len(use.label):
                continue
            if all(algebra.resolve(label).shape[1] == 1 for label in (other.label, use.label)):
                algebra.unify(other.label, use.label, f"sized by {use.expression} at {use.where}")


def size_labels(solver: SizeSolver) -> list[Label]:
    """Labels whose counts the code computes with: an axis must not lie half in one and half out."""
    uses = [solver.uses[number] for number in solver.equations]
    return [label for use in uses for label in (use.label, *labels_in(use.expression))]


def number_marks(record: Record) -> list[Mark]:
    """What numbers computed from sizes say: cutting these units changes them."""
    by_attribute: dict[Attribute, list[Label]] = {}
    for use in record.sizes:
        for attribute in attributes_in(use.expression):
            by_attribute.setdefault(attribute, []).append(use.label)
    marks = []
    for number in record.numbers:
        labels = labels_in(number.expression)
        for attribute in attributes_in(number.expression):
            labels += by_attribute.get(attribute, [])
        marks += [Mark(kind="inexact", label=label, why=f"its size is a number at {number.where}") for label in labels]
    return marks


class EqualShares:
    """Finds sets of axes that the code can follow when they lose equal shares.

    A *node* is such a set. Each axis starts as one; nodes that conflict are joined with those that mend it.

    Attributes:
        stuck: number of an axis that no such cut can follow to the reason.
    """

    def __init__(self, axes: Sequence[Draft], solver: SizeSolver, algebra: Algebra) -> None:
        self.stuck: dict[int, str] = {}
        self._axes, self._solver, self._counts = axes, solver, _Counts(axes, algebra)
        self._node: list[tuple[int, ...]] = [(number,) for number in range(len(axes))]
        self._why: dict[tuple[int, ...], str] = {}
        self._coarse: dict[tuple[int, ...], int] = {}
        """How many of the finest steps of a node make one that the code can follow, where that is not 1."""
        self._within = {number: self._counts.axes_of(solver.uses[number]) for number in solver.equations}
        self._group_of = {use: number for number, group in enumerate(solver.groups) for use in group}
        self._touching: list[set[int]] = [set() for _ in axes]
        for use, touched in self._within.items():
            for axis in touched:
                self._touching[axis].add(self._group_of[use])
        if solver.equations:
            self._search()

    def couplings(self, names: Mapping[int, str]) -> tuple[Coupling, ...]:
        """The nodes of several axes, by the names of these."""
        found = []
        for node in dict.fromkeys(self._node):
            if (len(node) > 1 or node in self._coarse) and node[0] not in self.stuck:
                steps = self._steps(node)
                shares = {names[axis]: self._axes[axis].size // steps for axis in node}
                found.append(Coupling(shares=shares, steps=steps, why=self._why[node]))
        return tuple(found)

    def exact(self, number: int) -> bool:
        """Whether an axis and all that can only be cut with it are exact."""
        return all(self._axes[axis].exact for axis in self._node[number])

    def _search(self) -> None:
        """Settle every axis, the largest first, then all together."""
        for axis in self._counts.irregular:
            if self._touching[axis]:
                where = self._solver.uses[self._solver.groups[min(self._touching[axis])][0]].where
                self.stuck[axis] = f"only parts of it have the size that the code asks for at {where}"
        for axis in sorted(range(len(self._axes)), key=lambda axis: -self._axes[axis].size):
            if self._touching[axis] and axis not in self.stuck:
                self._settle(axis)
        while (conflict := self._together()) is not None:
            self._settle_conflict(conflict)

    def _settle(self, axis: int) -> None:
        """Join the node of an axis with others until the code can follow it; else it stays whole."""
        start = self._node[axis]
        node, first = start, None
        while (conflict := self._conflict(node)) is not None:
            first = first or conflict
            grown = self._mended(node, conflict)
            if grown is None and self._coarsened(node):
                break
            if grown is None:
                self.stuck.update(dict.fromkeys(start, str(first)))
                return
            node = grown
        if first is not None:
            self._join(node, first)

    def _coarsened(self, node: tuple[int, ...]) -> bool:
        """Whether the code can follow larger steps: some operators take multiples only, some code halves sizes."""
        finest = self._steps(node)
        for factor in range(2, min(_COARSEST, finest // 2) + 1):
            if finest % factor == 0:
                self._coarse[node] = factor
                if self._conflict(node) is None:
                    return True
        self._coarse.pop(node, None)
        return False

    def _join(self, node: tuple[int, ...], conflict: Conflict) -> None:
        for member in node:
            self._node[member] = node
        how = "computed from each other" if len(node) > 1 else "taken in multiples only"
        self._why[node] = f"{how} at {conflict.where}"

    def _mended(self, node: tuple[int, ...], conflict: Conflict) -> tuple[int, ...] | None:
        """The node joined with others until the conflicting group of uses holds, and all groups that this touches."""
        waiting = [self._group_of[conflict.use]]
        while waiting:
            found = self._first_conflict(node, waiting[-1])
            if found is None:
                waiting.pop()
                continue
            grown = self._joined(node, found)
            if grown is None:
                return None
            added = set(grown) - set(node)
            waiting += sorted(set().union(*[self._touching[axis] for axis in added]) - {waiting[-1]})
            node = grown
        return node

    def _joined(self, node: tuple[int, ...], conflict: Conflict) -> tuple[int, ...] | None:
        """The node with what makes the conflicting use hold: in the finest steps, breaking the least; else all."""
        group = self._group_of[conflict.use]
        near = {self._node[axis] for axis in self._involved(conflict.use) if axis not in self.stuck}
        near = {other for other in near if not set(other) & set(node)}
        trials = []
        for other in near:
            trial = self._merged(node, other)
            if self._steps(trial) > 1:
                broken = {found.use for found in self._conflicts(trial, {group})}
                trials.append((conflict.use in broken, -self._steps(trial), len(broken), other, trial))
        best = min(trials, default=None)
        if best is not None and not best[0]:
            return best[-1]
        everything = self._merged(node, *near)
        fits = len(near) > 1 and self._steps(everything) > 1 and self._first_conflict(everything, group) is None
        return everything if fits else None

    def _involved(self, use: int) -> set[int]:
        """Axes of a use, and of the uses that set its attributes."""
        found = set(self._within[use])
        attributes = set(attributes_in(self._solver.uses[use].expression))
        for other in self._solver.groups[self._group_of[use]]:
            if attributes & set(attributes_in(self._solver.uses[other].expression)):
                found |= self._within[other]
        return found

    @staticmethod
    def _merged(*nodes: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted({axis for node in nodes for axis in node}))

    def _steps(self, node: tuple[int, ...]) -> int:
        return gcd(*[self._axes[axis].size for axis in node]) // self._coarse.get(node, 1)

    def _conflict(self, node: tuple[int, ...]) -> Conflict | None:
        touched: set[int] = set().union(*[self._touching[axis] for axis in node])
        return next(iter(self._conflicts(node, touched)), None)

    def _first_conflict(self, node: tuple[int, ...], group: int) -> Conflict | None:
        return next(iter(self._conflicts(node, {group})), None)

    def _conflicts(self, node: tuple[int, ...], groups: Iterable[int]) -> Iterable[Conflict]:
        """What the code cannot follow when one step goes, a third of them, half of them, or all but one."""
        uses = sorted(use for group in groups for use in self._solver.groups[group])
        steps = self._steps(node)
        for removed in sorted({1, steps // 3, steps // 2, steps - 1} - {0, steps}):
            kept = {axis: self._axes[axis].size // steps * (steps - removed) for axis in node}
            yield from self._solver.solve(self._counts.kept(kept), uses)[1]

    def _together(self) -> Conflict | None:
        """A conflict when every node loses a share; different ones at a time."""
        nodes = [node for node in dict.fromkeys(self._node) if node[0] not in self.stuck]
        for pattern in _PATTERNS:
            kept = {}
            for number, node in enumerate(nodes):
                part, steps = pattern[number % len(pattern)], self._steps(node)
                left = max(1, steps * part[0] // part[1])
                kept.update({axis: self._axes[axis].size // steps * left for axis in node})
            conflicts = self._solver.solve(self._counts.kept(kept), self._solver.equations)[1]
            if conflicts:
                return conflicts[0]
        return None

    def _settle_conflict(self, conflict: Conflict) -> None:
        """Axes that are fine alone and not together: joined where that helps, else all stay whole."""
        involved = [axis for axis in self._involved(conflict.use) if axis not in self.stuck]
        node = self._merged(*[self._node[axis] for axis in involved]) if involved else ()
        if len(node) > 1 and node not in self._node and self._steps(node) > 1 and self._conflict(node) is None:
            self._join(node, conflict)
            return
        members = [member for axis in involved for member in self._node[axis]]
        group = self._solver.groups[self._group_of[conflict.use]]
        whole = members or [axis for use in group for axis in self._within[use]]
        self.stuck.update(dict.fromkeys(whole, str(conflict)))


_COARSEST = 16
"""Largest step tried, in the finest ones."""
_PATTERNS = (((1, 2),), ((1, 2), (2, 3)), ((3, 4), (1, 3), (1, 2)))
"""Shares that nodes keep, in turn, when all are tried together."""


class _Counts:
    """Kept counts of labels from kept counts of axes: sums of products, one per combination of axes."""

    def __init__(self, axes: Sequence[Draft], algebra: Algebra) -> None:
        self._sizes = [axis.size for axis in axes]
        self._algebra = algebra
        self._axis_of: npt.NDArray[np.int64] = np.full(len(algebra), -1, dtype=np.int64)
        for number, axis in enumerate(axes):
            self._axis_of[axis.atoms] = number
        self.irregular: set[int] = set()
        """Axes of which labels hold parts that are no products: their counts depend on which units go."""
        self._terms: dict[int, list[tuple[int, tuple[int, ...]]]] = {}
        self._alive: list[Label] = []

    def axes_of(self, use: SizeUse) -> set[int]:
        """All axes whose cut changes a size in a use."""
        labels = [use.label, *labels_in(use.expression)]
        return {axis for label in labels for _, combination in self.terms(label) for axis in combination}

    def terms(self, label: Label) -> list[tuple[int, tuple[int, ...]]]:
        """(factor, axes): the kept count is the sum of factor times the kept counts of the axes."""
        if id(label) not in self._terms:
            self._alive.append(label)
            self._terms[id(label)] = self._counted(label)
        return self._terms[id(label)]

    def _counted(self, label: Label) -> list[tuple[int, tuple[int, ...]]]:
        free = self._algebra.free(label)
        owners = np.sort(np.where(free > 0, self._axis_of[free], -1), axis=1)
        combinations, counts = np.unique(owners, axis=0, return_counts=True)
        found = []
        for combination, count in zip(combinations, counts, strict=True):
            own = tuple(int(axis) for axis in combination if axis >= 0)
            factor, rest = divmod(int(count), prod(self._sizes[axis] for axis in own))
            if rest or len(set(own)) < len(own):
                self.irregular.update(own)
            found.append((factor, own))
        return found

    def kept(self, sizes: Mapping[int, int]) -> Callable[[Label], int]:
        """Counts of labels once these axes have these sizes."""

        def count(label: Label) -> int:
            total = 0
            for factor, axes in self.terms(label):
                total += factor * prod(sizes.get(axis, self._sizes[axis]) for axis in axes)
            return total

        return count
