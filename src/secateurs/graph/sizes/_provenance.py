"""Where the sizes in a model's code come from: a tensor, an attribute, or a literal.

While a model is traced, the integer attributes of its modules are replaced by integers that remember their module
and name, `tensor.shape` hands out integers that remember the tensor's labels, and arithmetic between them builds
expressions. What the code does with them, `_mode.py` sees.
"""

import operator
import os
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from secateurs.graph._labels import Label
from secateurs.graph.model._tensors import modules_of

__all__ = [
    "COMPARISONS",
    "Attribute",
    "Expression",
    "Operation",
    "Tagged",
    "TensorSize",
    "Watcher",
    "attributes_in",
    "evaluate",
    "expression_of",
    "labels_in",
    "tag_attributes",
    "user_frame",
]


class Attribute(NamedTuple):
    """An integer attribute of a module, or one element of a tuple or list of integers."""

    path: str
    name: str
    index: int | None  # type: ignore[assignment]  # hides a method of tuples that nobody needs here
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


COMPARISONS = (operator.eq, operator.ne)
"""What stands on top of an expression that the code compared; the result must stay what it was."""
Expression = Attribute | TensorSize | Operation | int
Watcher = Callable[[Expression, int], int]
"""Told that a size (its expression and its value) is used as a number; answers the number to use."""


class Tagged(int):
    """An integer that knows the expression it came from.

    Two uses as a number go unseen, because Python reads the integer without asking it: a float on the left
    (`0.5 * n`, `1.0 / n`) and `math.log(n)`. There only verification finds that a cut changes the result.
    """

    expression: Expression
    watcher: "Watcher | None"

    def __new__(cls, value: int, expression: Expression, watcher: "Watcher | None") -> "Tagged":
        number = int.__new__(cls, value)
        number.expression, number.watcher = expression, watcher
        return number

    def __float__(self) -> float:
        return float(self.number())

    def __int__(self) -> int:
        return int.__add__(self, 0)

    def __eq__(self, other: object) -> bool:
        equal = int.__eq__(self, other)
        if self.watcher is not None and isinstance(other, int):
            compared = operator.eq if equal else operator.ne
            self.watcher(Operation(compared, (self.expression, expression_of(other))), 1)
        return equal

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = int.__hash__

    def __reduce__(self) -> Any:
        return int, (int.__add__(self, 0),)

    def number(self) -> int:
        """The size as a number to compute with: what the code gets from it changes with a cut.

        A trace takes note; a masked run gives the number that the cut model would have.
        """
        value = int.__add__(self, 0)
        return value if self.watcher is None else self.watcher(self.expression, value)


def _follow(name: str, swapped: bool) -> Callable[..., Any]:
    function = getattr(operator, name)
    plain = getattr(int, f"__{'r' if swapped else ''}{name}__")

    def method(self: Tagged, *others: Any) -> Any:
        if others and isinstance(others[0], float):
            return _numeric(function, swapped)(self, *others)
        value = plain(self, *others)
        if value is NotImplemented:
            return value
        operands = [expression_of(self), *[expression_of(other) for other in others]]
        expression = Operation(function, tuple(reversed(operands) if swapped else operands))
        return Tagged(value, expression, self.watcher)

    return method


def _numeric(function: Callable[..., Any], swapped: bool) -> Callable[..., Any]:
    def method(self: Tagged, other: Any, *more: Any) -> Any:
        operands = (self.number(), other.number() if isinstance(other, Tagged) else other)
        return function(*(reversed(operands) if swapped else operands), *more)

    return method


def _itself(self: Tagged, *_digits: Any) -> Tagged:
    return self


for _name in ("add", "sub", "mul", "floordiv", "mod"):
    setattr(Tagged, f"__{_name}__", _follow(_name, False))
    setattr(Tagged, f"__r{_name}__", _follow(_name, True))
for _name in ("truediv", "pow"):
    setattr(Tagged, f"__{_name}__", _numeric(getattr(operator, _name), False))
    setattr(Tagged, f"__r{_name}__", _numeric(getattr(operator, _name), True))
for _name in ("pos", "round", "floor", "ceil", "trunc"):
    setattr(Tagged, f"__{_name}__", _itself)
Tagged.__neg__ = _follow("neg", False)  # type: ignore[method-assign]
Tagged.__abs__ = lambda self: self if self >= 0 else -self  # type: ignore[method-assign]
Tagged.__divmod__ = lambda self, other: (self // other, self % other)  # type: ignore[method-assign]
Tagged.__rdivmod__ = lambda self, other: (other // self, other % self)  # type: ignore[method-assign]


def expression_of(value: Any) -> Expression:
    """The expression behind a number; a plain integer stands for itself."""
    if isinstance(value, Tagged):
        return value.expression
    return int(value)


def tag_attributes(
    model: nn.Module, watcher: Watcher, modules: Mapping[str, nn.Module] | None = None
) -> Callable[[], None]:
    """Replace sizes that modules hold by tagged ones: positive integers, and tuples and lists of them.

    Also those in plain objects that modules hold (configurations), under dotted names. `modules` are those of the
    model by path, where they are known.

    Returns:
        What puts back the attributes of such objects; those of the modules are the caller's to restore.
    """
    undone: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}
    for path, module in (modules_of(model) if modules is None else modules).items():
        _tag(path, "", vars(module), watcher)
        for name, value in vars(module).items():
            if type(value) not in _KNOWN and _is_plain_object(name, value) and id(value) not in undone:
                undone[id(value)] = (vars(value), dict(vars(value)))
                _tag(path, f"{name}.", vars(value), watcher)

    def undo() -> None:
        for attributes, before in undone.values():
            attributes.update(before)

    return undo


def _tag(path: str, prefix: str, attributes: dict[str, Any], watcher: Watcher) -> None:
    for name, value in list(attributes.items()):
        kind = type(value)
        if kind in _NO_SIZES or name.startswith("_"):
            continue
        if kind is int:
            if value > 0:
                attributes[name] = Tagged(value, Attribute(path, prefix + name, None, value), watcher)
        elif kind in (tuple, list, torch.Size) and value and all(map(_is_size, value)):
            tags = [Tagged(item, Attribute(path, prefix + name, i, item), watcher) for i, item in enumerate(value)]
            attributes[name] = tags if type(value) is list else tuple(tags)


def _is_plain_object(name: str, value: Any) -> bool:
    """An object of the user's own class that holds settings; torch's objects and callables are none."""
    if name.startswith("_") or isinstance(value, (nn.Module, torch.Tensor, type)) or callable(value):
        return False
    return isinstance(getattr(value, "__dict__", None), dict) and not type(value).__module__.startswith("torch.")


_NO_SIZES = frozenset((bool, float, str, dict, OrderedDict, set, type(None)))
_KNOWN = _NO_SIZES | {int, tuple, list, Tagged}
"""What the attributes of most modules are: no objects that hold settings."""


def _is_size(value: Any) -> bool:
    return type(value) is int and value > 0


def user_frame() -> str:
    """File and line of the innermost code that belongs neither to torch nor to the tracing itself."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_MACHINERY):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


# The separator keeps out packages whose names only begin alike.
_MACHINERY = tuple(f"{folder}{os.sep}" for folder in (Path(torch.__file__).parent, Path(__file__).parents[1]))


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
