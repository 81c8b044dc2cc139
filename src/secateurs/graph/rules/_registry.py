"""Which rule an operator has: a registered one, the element-wise one, or none, and then its dims are fixed."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from secateurs.graph._call import Call, Rule
from secateurs.graph._labels import Label

__all__ = ["RULES", "broadcast", "register", "rule_for"]

RULES: dict[str, Rule] = {}
"""Operator name without overload, for example `aten::mm`, to its rule."""

_TRANSPARENT = {"prim::device", "aten::is_pinned", "aten::sym_size", "aten::sym_numel", "aten::sym_stride"}
"""Calls that return no tensor."""


def register(*names: str) -> Callable[[Rule], Rule]:
    """Make a function the rule of some ATen operators, named without `aten::`; `name_` is covered with `name`."""

    def add(rule: Rule) -> Rule:
        for name in names:
            RULES[f"aten::{name}"] = RULES[f"aten::{name}_"] = rule
        return rule

    return add


@cache
def rule_for(func: Any) -> Rule | None:
    """The rule of an operator; `None` where there is nothing to follow."""
    name = func._schema.name
    if name in _TRANSPARENT:
        return None
    if name in RULES:
        return RULES[name]
    if torch.Tag.pointwise in func.tags:
        return elementwise
    return unknown


def elementwise(call: Call) -> None:
    """Position by position over broadcast dims: whatever stands at the same position is cut together."""
    call.uncounted()
    operands = [tensor for tensor in call.tensors if tensor.dim() > 0]
    results = call.out if isinstance(call.out, (tuple, list)) else [call.out]
    shape = results[0].shape
    labels = broadcast(call, operands, tuple(shape))
    call.assign(*[labels for _ in results])


def broadcast(call: Call, operands: list[Tensor], shape: tuple[int, ...]) -> list[Label | None]:
    """Unify the labels of tensors that are broadcast to `shape`; the labels of the result."""
    result: list[Label | None] = []
    for dim, size in enumerate(shape):
        present = []
        for operand in operands:
            own = dim - (len(shape) - operand.dim())
            if own >= 0 and operand.shape[own] == size and size != 1:
                present.append(call.labels(operand)[own])
        for label in present[1:]:
            call.unify(present[0], label)
        result.append(next((label for label in present if label is not None), None))
    return result


def unknown(call: Call) -> None:
    """An operator without a rule fixes everything that it touches."""
    if call.tensors:
        call.uncounted()
    for tensor in call.tensors:
        for label in call.labels(tensor):
            call.fix(label, "operator without a rule")
