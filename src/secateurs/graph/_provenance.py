"""Where the sizes in a model's code come from: a tensor, an attribute, or a literal.

While a model is traced, the integer attributes of its modules are replaced by integers that remember their module
and name, `tensor.shape` hands out integers that remember the tensor's labels, and arithmetic between them builds
expressions. What the code does with them, `_sizes.py` sees.
"""

import operator
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from secateurs.graph._labels import Label

__all__ = [
    "Attribute",
    "Expression",
    "Operation",
    "Tagged",
    "TensorSize",
    "attributes_in",
    "evaluate",
    "expression_of",
    "labels_in",
    "tag_attributes",
    "user_frame",
]


@dataclass(frozen=True)
class Attribute:
    """An integer attribute of a module, or one element of a tuple of integers."""

    path: str
    name: str
    index: int | None
    value: int

    def __str__(self) -> str:
        place = f"{self.path}.{self.name}" if self.path else self.name
        return place if self.index is None else f"{place}[{self.index}]"


@dataclass(frozen=True, eq=False)
class TensorSize:
    """The size of a labelled dim."""

    label: Label
    size: int

    def __str__(self) -> str:
        return f"a tensor's size {self.size}"


@dataclass(frozen=True, eq=False)
class Operation:
    """Arithmetic of expressions and plain integers."""

    function: Callable[..., int]
    operands: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.function.__name__}({', '.join(str(operand) for operand in self.operands)})"


Expression = Attribute | TensorSize | Operation | int

_FOLLOWED = ("add", "sub", "mul", "floordiv", "mod", "neg")
_NUMERIC = ("truediv", "pow")


class Tagged(int):
    """An integer that knows the expression it came from.

    Two uses as a number go unseen, because Python reads the integer without asking it: a float on the left
    (`0.5 * n`, `1.0 / n`) and `math.log(n)`. There only verification finds that a cut changes the result.
    """

    expression: Expression
    watcher: "Callable[[Expression], None] | None"

    def __new__(cls, value: int, expression: Expression, watcher: "Callable[[Expression], None] | None") -> "Tagged":
        number = super().__new__(cls, value)
        number.expression, number.watcher = expression, watcher
        return number

    def __float__(self) -> float:
        self.watch()
        return float(int(self))

    def __int__(self) -> int:
        return int.__add__(self, 0)

    def __eq__(self, other: object) -> bool:
        equal = int.__eq__(self, other)
        if equal is True and self.watcher is not None:
            both = Operation(operator.eq, (self.expression, expression_of(other)))
            if labels_in(both):
                self.watcher(both)
        return equal

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = int.__hash__

    def __reduce__(self) -> Any:
        return int, (int.__add__(self, 0),)

    def watch(self) -> None:
        """The code uses the size as a number; what it computes from it would change with a cut."""
        if self.watcher is not None:
            self.watcher(self.expression)


def _follow(name: str, swapped: bool) -> Callable[..., Any]:
    function = getattr(operator, name)
    plain = getattr(int, f"__{'r' if swapped else ''}{name}__")

    def method(self: Tagged, *others: Any) -> Any:
        value = plain(self, *others)
        if others and isinstance(others[0], float):
            self.watch()
        if value is NotImplemented:
            return value
        operands = [expression_of(self), *[expression_of(other) for other in others]]
        expression = Operation(function, tuple(reversed(operands) if swapped else operands))
        return Tagged(value, expression, self.watcher)

    return method


def _watched(name: str, swapped: bool) -> Callable[..., Any]:
    plain = getattr(int, f"__{'r' if swapped else ''}{name}__")

    def method(self: Tagged, *others: Any) -> Any:
        self.watch()
        for other in others:
            if isinstance(other, Tagged):
                other.watch()
        return plain(self, *others)

    return method


for _name in _FOLLOWED:
    setattr(Tagged, f"__{_name}__", _follow(_name, False))
    if _name != "neg":
        setattr(Tagged, f"__r{_name}__", _follow(_name, True))
for _name in _NUMERIC:
    setattr(Tagged, f"__{_name}__", _watched(_name, False))
    setattr(Tagged, f"__r{_name}__", _watched(_name, True))


def expression_of(value: Any) -> Expression:
    """The expression behind a number; a plain integer stands for itself."""
    if isinstance(value, Tagged):
        return value.expression
    return int(value)


def tag_attributes(model: nn.Module, watcher: Callable[[Expression], None]) -> None:
    """Replace the positive integers, and tuples of them, in every module's own attributes by tagged ones."""
    for path, module in model.named_modules():
        for name, value in list(vars(module).items()):
            if name.startswith("_"):
                continue
            if _is_size(value):
                vars(module)[name] = Tagged(value, Attribute(path, name, None, value), watcher)
            elif type(value) in (tuple, torch.Size) and value and all(_is_size(item) for item in value):
                tags = (Tagged(item, Attribute(path, name, i, item), watcher) for i, item in enumerate(value))
                vars(module)[name] = tuple(tags)


def _is_size(value: Any) -> bool:
    return type(value) is int and value > 0


def user_frame() -> str:
    """File and line of the innermost code that belongs neither to torch nor to the tracing itself."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_MACHINERY):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


# The separator keeps out packages whose names only begin alike.
_MACHINERY = tuple(f"{Path(file).parent}{os.sep}" for file in (torch.__file__, __file__))


def labels_in(expression: Expression) -> list[Label]:
    """Labels of all tensor sizes in an expression."""
    if isinstance(expression, TensorSize):
        return [expression.label]
    if isinstance(expression, Operation):
        return [label for operand in expression.operands for label in labels_in(operand)]
    return []


def attributes_in(expression: Expression) -> list[Attribute]:
    """All attributes in an expression."""
    if isinstance(expression, Attribute):
        return [expression]
    if isinstance(expression, Operation):
        return [attribute for operand in expression.operands for attribute in attributes_in(operand)]
    return []


def evaluate(expression: Expression, attribute: Callable[[Attribute], int], kept: Callable[[Label], int]) -> int | None:
    """The value of an expression after a cut; `None` where it cannot be computed (division by zero)."""
    if isinstance(expression, Attribute):
        return attribute(expression)
    if isinstance(expression, TensorSize):
        return kept(expression.label)
    if isinstance(expression, Operation):
        values = [evaluate(operand, attribute, kept) for operand in expression.operands]
        try:
            return None if None in values else int(expression.function(*values))
        except ZeroDivisionError:
            return None
    return int(expression)
