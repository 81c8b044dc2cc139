"""Which functions of torch multiply by a weight, and which dims meet there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Use", "given", "others", "uses"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Use:
    """One operator with a weight: which dims meet.

    Attributes:
        inputs: position of the other operand among the arguments.
        weight: position of the weight.
        reads, makes: dims of the weight that meet the inputs and the outputs.
        source, result: these dims in the inputs and the outputs, negative.
        layer: whether the function takes nothing but weights there.
    """

    inputs: int
    weight: int
    reads: int
    makes: int
    source: int
    result: int
    layer: bool = False


def _convolution(dims: int, *, transposed: bool = False) -> tuple[Use, ...]:
    reads, makes = (0, 1) if transposed else (1, 0)
    return (Use(inputs=0, weight=1, reads=reads, makes=makes, source=-1 - dims, result=-1 - dims, layer=True),)


_RIGHT = Use(inputs=0, weight=1, reads=0, makes=1, source=-1, result=-1)
_LEFT = Use(inputs=1, weight=0, reads=1, makes=0, source=-2, result=-2)
_ADDED = (Use(inputs=1, weight=2, reads=0, makes=1, source=-1, result=-1),)
_KNOWN: Mapping[Any, tuple[Use, ...]] = {
    F.linear: (Use(inputs=0, weight=1, reads=1, makes=0, source=-1, result=-1, layer=True),),
    torch.conv1d: _convolution(1),
    torch.conv2d: _convolution(2),
    torch.conv3d: _convolution(3),
    torch.conv_transpose1d: _convolution(1, transposed=True),
    torch.conv_transpose2d: _convolution(2, transposed=True),
    torch.conv_transpose3d: _convolution(3, transposed=True),
    torch.addmm: _ADDED,
    Tensor.addmm: _ADDED,
    **dict.fromkeys((torch.matmul, torch.mm, Tensor.matmul, Tensor.mm, Tensor.__matmul__), (_RIGHT, _LEFT)),
}
_NAMES: Mapping[str, int] = {"input": 0, "weight": 1, "mat1": 1, "mat2": 2, "other": 1, "tensor2": 1}
"""Places of arguments that may be given by name; `mat2` of mm, which takes two, is left unseen."""


def uses(function: Any, arguments: Mapping[int, Any]) -> Iterator[Use]:
    """How a function may use a weight."""
    if function is torch.einsum:
        yield from _einsum(arguments)
    yield from _KNOWN.get(function, ())


def given(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[int, Any]:
    """Arguments by place."""
    return dict(enumerate(args)) | {_NAMES[name]: value for name, value in kwargs.items() if name in _NAMES}


def others(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Named arguments that have no place."""
    return {name: value for name, value in kwargs.items() if name not in _NAMES}


def _einsum(arguments: Mapping[int, Any]) -> Iterator[Use]:
    """Of two operands, with one letter that is summed over and one that is new."""
    equation = arguments.get(0)
    if not isinstance(equation, str) or "->" not in equation or set(arguments) != {0, 1, 2}:
        return
    left, result = equation.replace(" ", "").split("->")
    operands = left.split(",")
    for weight, inputs in ((2, 1), (1, 2)):
        own, other = operands[weight - 1], operands[inputs - 1]
        reads = [letter for letter in own if letter in other and letter not in result]
        makes = [letter for letter in own if letter in result and letter not in other]
        if len(reads) == len(makes) == 1 and len(own) == 2:
            source, made = (_from_end(text, part[0]) for text, part in ((other, reads), (result, makes)))
            if source is not None and made is not None:
                yield Use(
                    inputs=inputs,
                    weight=weight,
                    reads=own.index(reads[0]),
                    makes=own.index(makes[0]),
                    source=source,
                    result=made,
                )


def _from_end(text: str, letter: str) -> int | None:
    """The place of a letter, counted from the back; None where dots of any number stand behind it."""
    behind = text[text.index(letter) :]
    return None if "..." in behind else -len(behind)
