"""What is searched: the values that each dimension of a sweep may take."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self, TypeAlias

from pydantic import BaseModel, Discriminator, Field, Tag, model_validator

from secateurs._errors import ConfigError
from secateurs.recipes import STRICT

__all__ = ["Choices", "Dimension", "Range", "changes", "draw", "grid_values", "paths"]

_DIGITS = 6
"""Of drawn numbers: nobody wants to read, or repeat by hand, a learning rate of seventeen digits."""


class Range(BaseModel):
    """Numbers from `low` to `high`, both included; whole ones where both are whole."""

    model_config = STRICT
    low: int | float
    high: int | float
    step: int | float | None = Field(default=None, gt=0)
    """Only low, low + step, and so on. For a grid, whole numbers go by 1 without it."""
    count: int | None = Field(default=None, ge=2)
    """Only so many numbers at equal distances, or with `log` at equal ratios."""
    log: bool = False
    """Search orders of magnitude alike."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not self.low < self.high:
            raise ValueError("`low` below `high`")
        if self.log and self.low <= 0:
            raise ValueError("`low` above 0, because `log` is true")
        if (self.step is not None) + (self.count is not None) + (self.log and self.step is not None) > 1:
            raise ValueError("`step` alone, or `count`, which may go with `log`")
        return self

    @property
    def whole(self) -> bool:
        """Whether its numbers are whole."""
        return all(isinstance(number, int) for number in (self.low, self.high, self.step or 1))

    @property
    def finite(self) -> bool:
        """Whether its numbers can be listed."""
        return self.step is not None or self.count is not None or (self.whole and not self.log)

    def values(self) -> tuple[int | float, ...]:
        """All its numbers, where they can be listed."""
        if self.count is not None:
            shares = [index / (self.count - 1) for index in range(self.count)]
            return tuple(dict.fromkeys(self._at(share) for share in shares))
        step = self.step or 1
        steps = math.floor((self.high - self.low) / step + 1e-9)
        return tuple(self.nice(self.low + index * step) for index in range(steps + 1))

    def draw(self, source: random.Random) -> int | float:
        """One of its numbers, each as likely as the others."""
        if self.finite:
            return source.choice(self.values())
        return self._at(source.random())

    def nice(self, number: float) -> int | float:
        """The number inside the range, of few digits, and whole where it should be."""
        inside = min(max(float(f"{number:.{_DIGITS}g}"), self.low), self.high)
        return round(inside) if self.whole else float(inside)

    def _at(self, share: float) -> int | float:
        if self.log:
            return self.nice(self.low * (self.high / self.low) ** share)
        return self.nice(self.low + (self.high - self.low) * share)


class Choices(BaseModel):
    """Named choices, each of which sets several keys of the recipe, or none."""

    model_config = STRICT
    choices: dict[str, dict[str, Any]] = Field(min_length=1)
    """name -> {dotted path: value}; the key of the dimension is then only a word for it."""


def _form(value: Any) -> str:
    """Which of the forms of a dimension is meant, so that an error is about that one."""
    if isinstance(value, Choices) or (isinstance(value, dict) and "choices" in value):
        return "choices"
    return "range" if isinstance(value, dict | Range) else "values"


Dimension: TypeAlias = Annotated[
    Annotated[tuple[Any, ...], Tag("values")] | Annotated[Range, Tag("range")] | Annotated[Choices, Tag("choices")],
    Discriminator(_form),
]
"""Values of the dotted path that is its key; numbers of a range; or named choices."""


def grid_values(key: str, dimension: Dimension) -> tuple[Any, ...]:
    """Every value of the dimension; of named choices, the names.

    Raises:
        ConfigError: a range that cannot be listed.
    """
    if isinstance(dimension, Choices):
        return tuple(dimension.choices)
    if isinstance(dimension, tuple):
        return dimension
    if not dimension.finite:
        raise ConfigError(
            f"space.{key}",
            wanted="numbers that can be listed, because the search is a grid",
            got=f"a range from {dimension.low:g} to {dimension.high:g}",
            cure="Give it a step or a count, or set search: random.",
        )
    return dimension.values()


def draw(dimension: Dimension, source: random.Random) -> Any:
    """A value at random."""
    if isinstance(dimension, Range):
        return dimension.draw(source)
    return source.choice(dimension if isinstance(dimension, tuple) else tuple(dimension.choices))


def changes(space: Mapping[str, Dimension], values: Mapping[str, Any]) -> dict[str, Any]:
    """The dotted changes to the recipe that one value for each dimension comes to."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        dimension = space[key]
        found |= dimension.choices[value] if isinstance(dimension, Choices) else {key: value}
    return found


def paths(key: str, dimension: Dimension) -> Sequence[str]:
    """The dotted paths that the dimension may set."""
    if isinstance(dimension, Choices):
        return tuple({path: None for values in dimension.choices.values() for path in values})
    return (key,)
