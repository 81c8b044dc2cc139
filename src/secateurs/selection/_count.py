"""Exactly so many units, in one order over all axes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from secateurs._errors import PlanError
from secateurs._nearest import nearest_hint
from secateurs.graph import Axis

__all__ = ["CountChoice", "CountOptions", "units_by_count"]

CountChoice: TypeAlias = Literal["low", "high", "hybrid", "random"]
_CHOICES = ("low", "high", "hybrid", "random")
Unit: TypeAlias = tuple[int, int]
"""(number of the axis, unit)"""


@dataclass(frozen=True, kw_only=True)
class CountOptions:
    """Which units go.

    Attributes:
        choice: those with the "low"est scores, with the "high"est, half of them from each end ("hybrid", the odd one
            from the low end), or any, by lot ("random").
        seed: of the lots.
        floor: units that every axis keeps at least.

    Raises:
        PlanError: an unknown choice or a floor below 1.
    """

    choice: CountChoice = "low"
    seed: int = 0
    floor: int = 1

    def __post_init__(self) -> None:
        if self.choice not in _CHOICES:
            cure = nearest_hint(self.choice, _CHOICES, "Take one of these.")
            raise PlanError("choice", wanted=f"one of {', '.join(_CHOICES)}", got=repr(self.choice), cure=cure)
        if self.floor < 1:
            # Surgery leaves no dim without a unit.
            cure = "Say how many units every axis keeps at least."
            raise PlanError("floor", wanted="an integer of at least 1", got=repr(self.floor), cure=cure)


def units_by_count(
    axes: Sequence[Axis],
    scores: Mapping[str, Tensor],
    count: int,
    options: CountOptions,
    *,
    gone: Mapping[str, Sequence[int]] | None = None,
) -> dict[str, tuple[int, ...]]:
    """The units that go, `count` of them over all axes together: axis name to units, ascending, every axis there.

    All units are in one order of their scores; equal ones in the order of axes, then of units, from either end. A unit
    that would leave its axis with less than the floor stays, and the next one goes instead.

    Args:
        axes: those that take part.
        scores: axis name to floating tensor [axis.size]; of "random" not looked at.
        count: how many.
        options: which.
        gone: axis name to units that are masked already: they are not counted, neither as going nor as staying.

    Raises:
        PlanError: a count that is negative, or more than the floors allow.
    """
    dead = {(number, unit) for number, axis in enumerate(axes) for unit in (gone or {}).get(axis.name, ())}
    pool = [(number, unit) for number, axis in enumerate(axes) for unit in range(axis.size)]
    pool = [place for place in pool if place not in dead]
    room = _Room(axes, pool, options.floor)
    if not 0 <= count <= room.all:
        wanted = (
            f"a count from 0 to {room.all}, as {len(pool)} units in {len(axes)} axes and a floor of {options.floor}"
        )
        raise PlanError("count", wanted=f"{wanted} allow", got=str(count), cure="Remove fewer, or lower the floor.")
    if options.choice == "random":
        lots = torch.randperm(len(pool), generator=torch.Generator().manual_seed(options.seed))
        taken = room.take(iter([pool[lot] for lot in lots.tolist()]), count)
    else:
        values = [float(scores[axes[number].name][unit]) for number, unit in pool] if count else []
        low = math.ceil(count / 2) if options.choice == "hybrid" else count if options.choice == "low" else 0
        taken = room.take(_ordered(pool, values, 1), low)
        rest = (place for place in _ordered(pool, values, -1) if place not in taken)
        taken |= room.take(rest, count - low)
    return {
        axis.name: tuple(sorted(unit for other, unit in taken if other == number)) for number, axis in enumerate(axes)
    }


def _ordered(pool: Sequence[Unit], values: Sequence[float], sign: int) -> Iterator[Unit]:
    """Ascending, or with a `sign` of -1 descending; equal ones as they stand in the pool."""
    order = sorted(range(len(values)), key=lambda place: sign * values[place])
    return (pool[place] for place in order)


class _Room:
    """How many units each axis can still lose."""

    def __init__(self, axes: Sequence[Axis], pool: Sequence[Unit], floor: int) -> None:
        self._left = [-floor] * len(axes)
        for number, _ in pool:
            self._left[number] += 1

    @property
    def all(self) -> int:
        return sum(max(left, 0) for left in self._left)

    def take(self, order: Iterator[Unit], count: int) -> set[Unit]:
        """The first `count` that may go."""
        taken: set[Unit] = set()
        for number, unit in order:
            if len(taken) == count:
                break
            if self._left[number] > 0:
                self._left[number] -= 1
                taken.add((number, unit))
        return taken
