"""Which rule an operator has: a registered one, the element-wise one, or none, and then its dims are fixed."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from secateurs.graph._call import Call, Rule
from secateurs.graph._labels import Label

__all__ = ["RULES", "broadcast", "elementwise", "is_composite", "register", "register_anywhere", "rule_for", "unknown"]

RULES: dict[str, Rule] = {}
"""Operator name without overload, for example `aten::mm`, to its rule."""

ANYWHERE: dict[str, Rule] = {}
"""The same without a namespace, for operators that are not torch's own."""

_UNTAGGED = {"_prelu_kernel", "complex", "hardswish", "log_sigmoid_forward", "polar", "rrelu_with_noise"}
"""Operators that work position by position and that torch does not mark so."""

_TRANSPARENT = {"prim::device", "aten::is_pinned", "aten::sym_size", "aten::sym_numel", "aten::sym_stride"}
"""Calls that return no tensor."""


def register(*names: str) -> Callable[[Rule], Rule]:
    """Make a function the rule of some ATen operators, named without `aten::`; `name_` is covered with `name`."""

    def add(rule: Rule) -> Rule:
        for name in names:
            known = RULES.get(f"aten::{name}", rule)
            if known is not rule:
                raise ValueError(f"{name} has a rule already, in {known.__module__}")
            RULES[f"aten::{name}"] = RULES[f"aten::{name}_"] = rule
        return rule

    return add


def register_anywhere(*names: str) -> Callable[[Rule], Rule]:
    """Make a function the rule of operators of these names in any namespace: what libraries add under one name."""

    def add(rule: Rule) -> Rule:
        ANYWHERE.update(dict.fromkeys(names, rule))
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
    if name.partition("::")[2] in ANYWHERE:
        return ANYWHERE[name.partition("::")[2]]
    return elementwise if _is_pointwise(func) else unknown


def _is_pointwise(func: Any) -> bool:
    """Marked by torch; in-place variants often are not, then their plain ones say it."""
    namespace, _, name = func._schema.name.partition("::")
    plain = name.removesuffix("_")
    if torch.Tag.pointwise in func.tags or plain in _UNTAGGED:
        return True
    packet = getattr(getattr(torch.ops, namespace), plain, None) if plain != name else None
    return packet is not None and any(torch.Tag.pointwise in getattr(packet, o).tags for o in packet.overloads())


@cache
def is_composite(func: Any) -> bool:
    """Whether an operator without a rule is made of others. In inference mode torch hands these over whole."""
    composite = torch._C.DispatchKey.CompositeImplicitAutograd
    return rule_for(func) is unknown and bool(func.has_kernel_for_dispatch_key(composite))


def elementwise(call: Call) -> None:
    """Position by position over broadcast dims: whatever stands at the same position is cut together."""
    call.uncounted()
    operands = [tensor for tensor in call.tensors if tensor.dim() > 0]
    out = call.out
    results = out if isinstance(out, (tuple, list)) else (out,)
    shape = results[0].shape
    labels = broadcast(call, operands, tuple(shape))
    call.assign(*[labels if result.shape == shape else [None for _ in result.shape] for result in results])


def broadcast(call: Call, operands: list[Tensor], shape: tuple[int, ...]) -> list[Label | None]:
    """Unify the labels of tensors that are broadcast to `shape`; the labels of the result."""
    if len(operands) == 1 and operands[0].shape == shape:
        # As the general way below has it: a dim of one position has no label.
        return [None if size == 1 else label for label, size in zip(call.labels(operands[0]), shape, strict=True)]
    given = [(call.labels(operand), operand.shape, len(shape) - operand.dim()) for operand in operands]
    result: list[Label | None] = []
    for dim, size in enumerate(shape):
        if size == 1:
            result.append(None)
            continue
        present = [labels[dim - lead] for labels, sizes, lead in given if dim >= lead and sizes[dim - lead] == size]
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
