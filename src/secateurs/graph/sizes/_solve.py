"""Sizes in the code against sizes in a plan: which attributes to set, and what the code cannot follow."""

import operator
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from secateurs.graph._labels import Algebra, Label
from secateurs.graph._plan import Edit
from secateurs.graph._record import Record, SizeUse
from secateurs.graph.sizes._provenance import (
    Attribute,
    Expression,
    Operation,
    TensorSize,
    attributes_in,
    evaluate,
    labels_in,
)

__all__ = ["Conflict", "Kept", "SizeSolver"]

Kept = Callable[[Label], int]
"""How many positions of a label a cut leaves."""


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """A place where the code would compute another size than the cut leaves."""

    use: int
    """The number of the size use."""
    where: str
    wanted: str
    got: str

    def __str__(self) -> str:
        return f"the code at {self.where} gives {self.got} where the cut leaves {self.wanted}"


class SizeSolver:
    """Solves the size equations of a trace for a plan.

    An attribute that stands alone for a size is set to what the cut leaves. One that stands in expressions only is
    set so that the first of them holds. Every other expression is evaluated with these values and must then agree.

    Attributes:
        uses: the distinct uses of sizes that a cut can touch.
        groups: numbers of uses that share attributes, directly or through others; each use is in one group.
        equations: numbers of the uses that a cut can conflict with.
    """

    def __init__(self, algebra: Algebra, record: Record) -> None:
        uses, moving = _distinct(record.sizes, algebra)
        self.uses: Sequence[SizeUse] = [use for use in uses if not _is_unequal(use)]
        self._unequal = [use for use in uses if _is_unequal(use)]
        self._moving = moving
        self._attributes = [frozenset(attributes_in(use.expression)) for use in self.uses]
        self._constant: Mapping[Any, str] = record.constant
        self.groups = self._grouped()
        self.equations: Sequence[int] = sorted(
            number for group in self.groups if self._can_conflict(group) for number in group
        )

    def _can_conflict(self, group: Sequence[int]) -> bool:
        """Not where no cut touches it, nor for one attribute in one place, which can be set to whatever is left."""
        if not any(id(self.uses[number]) in self._moving for number in group):
            return False
        expression = self.uses[group[0]].expression
        return len(group) > 1 or not isinstance(expression, Attribute) or expression in self._constant

    def _grouped(self) -> list[list[int]]:
        above = list(range(len(self.uses)))

        def root(number: int) -> int:
            while above[number] != number:
                above[number] = number = above[above[number]]
            return number

        first: dict[Attribute, int] = {}
        for number, attributes in enumerate(self._attributes):
            for attribute in attributes:
                above[root(number)] = root(first.setdefault(attribute, number))
        groups: dict[int, list[int]] = defaultdict(list)
        for number in range(len(above)):
            groups[root(number)].append(number)
        return list(groups.values())

    def solve(self, kept: Kept, only: Sequence[int] | None = None) -> tuple[list[Edit], list[Conflict]]:
        """Edits that make the code follow a cut, and what conflicts.

        Args:
            kept: what the cut leaves.
            only: numbers of the uses to look at, whole groups of them; all by default.
        """
        numbers = range(len(self.uses)) if only is None else only
        wanted, conflicts = self._attributes_alone(numbers, kept)
        for number in numbers:
            use = self.uses[number]
            unknown = self._attributes[number] - wanted.keys()
            if unknown and not isinstance(use.expression, Attribute):
                self._invert(use, unknown, wanted, kept)
        for number in numbers:
            use = self.uses[number]
            if not isinstance(use.expression, Attribute):
                value = evaluate(use.expression, lambda attribute: wanted.get(attribute, attribute.value), kept)
                if value != kept(use.label):
                    conflicts.append(_conflict(number, use, kept(use.label), f"{use.expression} = {value}"))
        if only is None:
            conflicts += [found for use in self._unequal if (found := self._kept_apart(use, wanted, kept))]
        changed = {attribute: after for attribute, after in wanted.items() if after != attribute.value}
        for attribute in changed.keys() & self._constant.keys():
            number = next(n for n in numbers if attribute in self._attributes[n])
            got = f"{attribute} = {attribute.value}, which the code needs at {self._constant[attribute]}"
            conflicts.append(_conflict(number, self.uses[number], changed[attribute], got))
        return [_edit(attribute, after) for attribute, after in changed.items()], conflicts

    def _attributes_alone(self, numbers: Sequence[int], kept: Kept) -> tuple[dict[Attribute, int], list[Conflict]]:
        wanted: dict[Attribute, int] = {}
        conflicts = []
        for number in numbers:
            use = self.uses[number]
            if isinstance(use.expression, Attribute):
                size, known = kept(use.label), wanted.setdefault(use.expression, kept(use.label))
                if known != size:
                    conflicts.append(_conflict(number, use, size, f"{use.expression} = {known}"))
        return wanted, conflicts

    def _kept_apart(self, use: SizeUse, wanted: dict[Attribute, int], kept: Kept) -> Conflict | None:
        """Sizes that the code found unequal stay so; one in an attribute that is only compared may be set for that."""

        def apart() -> bool:
            return bool(evaluate(use.expression, lambda own: wanted.get(own, own.value), kept))

        if apart():
            return None
        for attribute in sorted(set(attributes_in(use.expression)) - wanted.keys(), key=str):
            for value in range(attribute.value - 1, 0, -1):
                wanted[attribute] = value
                if apart():
                    return None
            del wanted[attribute]
        return Conflict(use=-1, where=use.where, wanted="another value", got=f"{use.expression} = 0")

    def _invert(self, use: SizeUse, unknown: frozenset[Attribute], wanted: dict[Attribute, int], kept: Kept) -> None:
        """Set the one attribute that nothing else determines; of several, those that a cut need not change stay."""

        def value(attribute: Attribute) -> int:
            return wanted.get(attribute, attribute.value)

        if evaluate(use.expression, value, kept) == kept(use.label):
            return
        for attribute in sorted(unknown, key=str):
            found = _solved_for(use.expression, attribute, kept(use.label), lambda e: evaluate(e, value, kept))
            # A cut makes nothing larger: one group stays one group.
            if found is not None and 0 < found <= attribute.value:
                wanted[attribute] = found
                if evaluate(use.expression, value, kept) == kept(use.label):
                    return
                del wanted[attribute]


def _solved_for(
    expression: Expression, attribute: Attribute, target: int, value: Callable[[Expression], int | None]
) -> int | None:
    """The attribute's value that makes an expression equal to a number; `None` where that is not plain to see."""
    if expression == attribute:
        return target
    if not isinstance(expression, Operation) or len(expression.operands) != 2:
        return None
    inside = [attribute in attributes_in(operand) for operand in expression.operands]
    if inside == [True, True] or inside == [False, False]:
        return None
    place = inside.index(True)
    other = value(expression.operands[1 - place])
    undo = _UNDO.get((expression.function, place))
    if other is None or undo is None:
        return None
    wanted = undo(target, other)
    return None if wanted is None else _solved_for(expression.operands[place], attribute, wanted, value)


_UNDO: Mapping[tuple[Callable[..., int], int], Callable[[int, int], int | None]] = {
    (operator.add, 0): lambda target, other: target - other,
    (operator.add, 1): lambda target, other: target - other,
    (operator.sub, 0): lambda target, other: target + other,
    (operator.sub, 1): lambda target, other: other - target,
    (operator.mul, 0): lambda target, other: target // other if other and target % other == 0 else None,
    (operator.mul, 1): lambda target, other: target // other if other and target % other == 0 else None,
    (operator.floordiv, 0): lambda target, other: target * other,
    (operator.floordiv, 1): lambda target, other: other // target if target else None,
}
"""(operator, place of the unknown) to the value of the unknown operand, given the result and the other operand."""


def _conflict(number: int, use: SizeUse, wanted: int, got: str) -> Conflict:
    return Conflict(use=number, where=use.where, wanted=str(wanted), got=got)


def _edit(attribute: Attribute, after: int) -> Edit:
    return Edit(path=attribute.path, name=attribute.name, index=attribute.index, before=attribute.value, after=after)


def _is_unequal(use: SizeUse) -> bool:
    return isinstance(use.expression, Operation) and use.expression.function is operator.ne


def _distinct(uses: Sequence[SizeUse], algebra: Algebra) -> tuple[list[SizeUse], set[int]]:
    """One use per expression and resolved label, without those that hold whatever is cut; which ones a cut touches."""
    seen: dict[Any, SizeUse] = {}
    moving: set[int] = set()
    contents: dict[int, tuple[Any, bytes]] = {}

    def content(label: Label) -> tuple[Any, bytes]:
        if id(label) not in contents:
            free = algebra.free(label)
            contents[id(label)] = (free.shape if free.any() else 0, free.tobytes())
        return contents[id(label)]

    for use in uses:
        own, others = content(use.label), [content(label) for label in labels_in(use.expression)]
        moves = bool(own[0] or any(shape for shape, _ in others))
        if not (moves or attributes_in(use.expression)) or (isinstance(use.expression, TensorSize) and others == [own]):
            continue
        source = use.expression if isinstance(use.expression, Attribute) else (str(use.expression), *others)
        if seen.setdefault((source, own), use) is use and moves:
            moving.add(id(use))
    return list(seen.values()), moving
