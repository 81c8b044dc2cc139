"""Sizes in the code against sizes in a plan: which attributes to set, and what the code cannot follow."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from secateurs.graph._labels import Algebra, Label
from secateurs.graph._plan import Edit
from secateurs.graph._provenance import Attribute, attributes_in, evaluate, labels_in
from secateurs.graph._record import Record, SizeUse

__all__ = ["Conflict", "SizeSolver"]

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """A place where the code would compute another size than the cut leaves."""

    where: str
    wanted: str
    got: str

    def __str__(self) -> str:
        return f"the code at {self.where} gives {self.got} where the cut leaves {self.wanted}"


class SizeSolver:
    """Solves the size equations of a trace for a plan.

    An attribute that stands alone for a size is set to what the cut leaves; every other expression is evaluated
    with these values and must then agree.
    """

    def __init__(self, algebra: Algebra, record: Record) -> None:
        self._algebra = algebra
        self._uses = _distinct(record.sizes, algebra)
        self._constant: Mapping[Any, str] = record.constant

    def touched(self) -> list[npt.NDArray[np.int64]]:
        """Per use, the free atoms that decide whether it holds."""
        return [self._atoms(use) for use in self._uses]

    def _atoms(self, use: SizeUse) -> npt.NDArray[np.int64]:
        """Also those of the dims whose cut would set an attribute in the expression."""
        others = {attribute for attribute in attributes_in(use.expression) if attribute is not use.expression}
        set_by = [other.label for other in self._uses if other.expression in others] if others else []
        labels = [use.label, *labels_in(use.expression), *set_by]
        return np.unique(np.concatenate([self._algebra.free(label).reshape(-1) for label in labels]))

    def solve(self, removed: BoolArray, only: Sequence[int] | None = None) -> tuple[list[Edit], list[Conflict]]:
        """Edits that make the code follow the cut, and what conflicts; `only` restricts it to some uses."""
        uses = self._uses if only is None else [self._uses[i] for i in only]
        kept = self._counter(removed)
        wanted: dict[Attribute, int] = {}
        conflicts = []
        for use in uses:
            if not isinstance(use.expression, Attribute):
                continue
            size, known = kept(use.label), wanted.get(use.expression)
            if known is not None and known != size:
                conflicts.append(Conflict(where=use.where, wanted=str(size), got=f"{use.expression} = {known}"))
            wanted[use.expression] = size
        for use in uses:
            value = evaluate(use.expression, lambda attribute: wanted.get(attribute, attribute.value), kept)
            if value != kept(use.label) and not isinstance(use.expression, Attribute):
                conflicts.append(
                    Conflict(where=use.where, wanted=str(kept(use.label)), got=f"{use.expression} = {value}")
                )
        changed = {attribute: after for attribute, after in wanted.items() if after != attribute.value}
        for attribute, after in changed.items():
            if attribute in self._constant:
                got = f"{attribute} = {attribute.value}, used as a number"
                conflicts.append(Conflict(where=self._constant[attribute], wanted=str(after), got=got))
        return [_edit(attribute, after) for attribute, after in changed.items()], conflicts

    def _counter(self, removed: BoolArray) -> Callable[[Label], int]:
        cache: dict[int, int] = {}

        def kept(label: Label) -> int:
            if id(label) not in cache:
                cache[id(label)] = len(label) - int(self._algebra.removed_rows(label, removed).sum())
            return cache[id(label)]

        return kept


def _edit(attribute: Attribute, after: int) -> Edit:
    return Edit(path=attribute.path, name=attribute.name, index=attribute.index, before=attribute.value, after=after)


def _distinct(uses: Sequence[SizeUse], algebra: Algebra) -> list[SizeUse]:
    """One use per attribute or place and resolved label."""
    seen: dict[Any, SizeUse] = {}
    for use in uses:
        label = algebra.free(use.label)
        source = use.expression if isinstance(use.expression, Attribute) else (use.where, str(use.expression))
        seen.setdefault((source, label.shape, label.tobytes()), use)
    return [use for use in seen.values() if algebra.free(use.label).any() or not _is_constant(use, algebra)]


def _is_constant(use: SizeUse, algebra: Algebra) -> bool:
    return not attributes_in(use.expression) and not any(
        algebra.free(label).any() for label in labels_in(use.expression)
    )
