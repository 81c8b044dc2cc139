"""Which sizes a model's code asks for, and which dims they belong to.

A function mode sees every torch function that takes a size (`view`, `split`, slices, group counts, ...) and ties the
expression behind the size to the label of the dim. From these uses the planner knows which attributes surgery must
set, and which cuts the code cannot follow.
"""

import inspect
import operator
from collections.abc import Callable, Mapping
from functools import cache, partial
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from secateurs.graph._labels import Label
from secateurs.graph._masks import is_gone
from secateurs.graph._mode import LabelMode
from secateurs.graph._record import Labels, NumberUse, SizeUse
from secateurs.graph._wholes import WHOLES, run_whole
from secateurs.graph.sizes._direct import DIRECT, run_direct
from secateurs.graph.sizes._growth import GROWTH
from secateurs.graph.sizes._provenance import (
    COMPARISONS,
    Expression,
    Operation,
    Tagged,
    TensorSize,
    attributes_in,
    evaluate,
    labels_in,
    user_frame,
)
from secateurs.graph.sizes._scopes import Handler, bound, flat, named
from secateurs.graph.sizes._slices import SLICES

__all__ = ["SizeMode"]


Edits = Mapping[tuple[str, str, int | None], int]
"""(path, name, index) of attributes to the value that a plan gives them."""


class SizeMode(TorchFunctionMode):
    """Sees every torch function call, and ties the sizes asked for to the labels they belong to."""

    def __init__(self, mode: LabelMode, edits: Edits = MappingProxyType({})) -> None:
        """With `edits` (attributes that a plan sets) for a masked run, without for a trace."""
        super().__init__()
        self.mode, self.edits = mode, edits
        self.dispatch_modes = 0
        """How many dispatch modes there are in a trace, its own among them."""

    def __enter__(self) -> "SizeMode":
        self.dispatch_modes = torch._C._len_torch_dispatch_stack()
        super().__enter__()
        return self

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs) if kwargs else {}
        direct = DIRECT.get(func)
        if direct is not None and (result := run_direct(self, direct, args, kwargs)) is not NotImplemented:
            return result
        handler = _HANDLERS.get(func)
        if handler is not None:
            return handler(self, func, args, kwargs)
        if func == _SHAPE or func is Tensor.size:
            return self._shape(args, kwargs)
        if func in _NUMEL:
            return prod(self._shape(args, {}))
        if func in _ARITHMETIC:
            args = tuple(value.number() if type(value) is Tagged else value for value in args)
            kwargs = {name: value.number() if type(value) is Tagged else value for name, value in kwargs.items()}
            return func(*args, **kwargs)
        if func in _DEVICE and self.mode.shadows is not None and args[0].is_meta:
            return _DEVICE[func](self.mode.shadows.device)
        for value in (*args, *kwargs.values()):
            for number in value if isinstance(value, (tuple, list)) else (value,):
                if type(number) is Tagged:
                    self.keep(number.expression)
        return func(*args, **kwargs)

    def _shape(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        tensor = args[0]
        labels = self.mode.info(tensor).labels
        sizes = tuple(
            size if label is None else Tagged(size, TensorSize(label, size), self.watch)
            for size, label in zip(tensor.shape, labels, strict=True)
        )
        dim = args[1] if len(args) > 1 else kwargs.get("dim")
        return torch.Size(sizes) if dim is None else sizes[dim]

    def watch(self, expression: Expression, value: int) -> int:
        """A size is used as a number at the running line: that number follows the cut."""
        record = self.mode.record
        if record is None:
            return self._after_the_cut(expression, value)
        if isinstance(expression, Operation) and expression.function in COMPARISONS:
            self._keep_compared(
                expression, where=f"{user_frame()} ({'==' if expression.function is operator.eq else '!='})"
            )
            return value
        labels = labels_in(expression)
        if labels or attributes_in(expression):
            record.numbers.append(NumberUse(expression=expression, where=user_frame()))
        return value

    def _after_the_cut(self, expression: Expression, value: int) -> int:
        """What the cut model's code would compute; comparisons go as in the dense model, whose code runs."""
        if isinstance(expression, Operation) and expression.function in COMPARISONS:
            return value
        found = evaluate(expression, lambda own: self.edits.get((own.path, own.name, own.index), own.value), _left)
        return value if found is None else found

    def keep(self, expression: Expression) -> None:
        """A function that is not known to follow sizes gets this one: it must not change."""
        record = self.mode.record
        if record is None:
            return
        where = user_frame()
        for label in labels_in(expression):
            self.mode.algebra.fix(label, f"its size is used as a number at {where}")
        for attribute in attributes_in(expression):
            record.constant.setdefault(attribute, where)

    def _keep_compared(self, expression: Operation, *, where: str) -> None:
        """The code compared two sizes and went on; what it does where the comparison goes otherwise was not traced."""
        record = self.mode.record
        if record is None:
            return
        first, second = expression.operands
        if expression.function is operator.ne and (isinstance(first, int) or isinstance(second, int)):
            return  # `repeats == 1`, `groups == 1`: what is special about such a number is mostly a short cut
        size, other = (first, second) if isinstance(first, TensorSize) else (second, first)
        if expression.function is operator.ne:
            use = SizeUse(expression=expression, label=_constant(1), where=where)
        elif isinstance(size, TensorSize):
            use = SizeUse(expression=other, label=size.label, where=where)
        else:
            use = SizeUse(expression=Operation(operator.sub, (first, second)), label=_NOTHING, where=where)
        record.sizes.append(use)

    def tie(self, value: Any, label: Label | None, what: str) -> None:
        """The size of `label` was given as `value`; a dim without units keeps its size."""
        tagged = isinstance(value, Tagged)
        if self.mode.record is None or (label is None and not tagged):
            return
        where = f"{user_frame()} ({what})"
        if tagged:
            label = _constant(int(value)) if label is None else label
            self.mode.record.sizes.append(SizeUse(expression=value.expression, label=label, where=where))
        else:
            self.mode.algebra.fix(label, f"size {int(value)} is written in the code at {where}")

    def labels(self, tensor: Any) -> Labels:
        """Labels of a result."""
        return self.mode.info(tensor).labels


# ---------------------------------------------------------------------- one handler per kind of size

_NOTHING = np.zeros((0, 1), dtype=np.int64)
"""A label of size 0."""


@cache
def _constant(size: int) -> Label:
    """A label of that many positions that stay."""
    return np.zeros((size, 1), dtype=np.int64)


_NUMEL = (Tensor.numel, Tensor.nelement, torch.numel)
_SHAPE = Tensor.shape.__get__  # type: ignore[attr-defined]
_DEVICE: dict[Any, Callable[[torch.device], Any]] = {
    Tensor.device.__get__: lambda device: device,
    Tensor.is_meta.__get__: lambda device: device.type == "meta",  # type: ignore[attr-defined]
    Tensor.is_cpu.__get__: lambda device: device.type == "cpu",  # type: ignore[attr-defined]
}
"""What meta tensors say about the device that they stand for."""


_NUMERIC = ("add", "sub", "subtract", "rsub", "mul", "multiply", "div", "divide", "true_divide", "pow", "float_power")
_ARITHMETIC = frozenset(
    getattr(owner, name)
    for owner, names in (
        (torch, _NUMERIC),
        (Tensor, [f"{name}{end}" for name in _NUMERIC for end in ("", "_")]),
        (Tensor, [f"__{kind}{name}__" for name in ("add", "sub", "mul", "truediv", "pow") for kind in ("", "r", "i")]),
    )
    for name in names
    if hasattr(owner, name)
)
"""Functions of tensors and numbers: a size among their arguments is a number to compute with."""


def _left(mask: Label) -> int:
    """How many positions a mask leaves."""
    return int((~is_gone(mask)).sum())


def _shaped(mode: SizeMode, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """view, reshape, expand: one size per dim of the result."""
    result = func(*args, **kwargs)
    given = [*args[1:], *[kwargs[name] for name in ("shape", "size") if name in kwargs]]
    if given and isinstance(given[0], torch.dtype):
        return result
    for size, label in zip(flat(given), mode.labels(result), strict=False):
        if int(size) != -1:
            mode.tie(size, label, func.__name__)
    return result


def _like(mode: SizeMode, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The shape is another tensor's: dims at the same place are cut together."""
    result = func(*args, **kwargs)
    other = args[1] if len(args) > 1 else kwargs["other"]
    for size, own, given in zip(result.shape, mode.labels(result), mode.labels(other), strict=True):
        if size != 1 and own is not given:
            mode.mode.algebra.unify(own, given, f"shaped like another tensor at {user_frame()}")
    return result


def _repeat_interleave(mode: SizeMode, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Every position `repeats` times in a row: a dim of that size beside it, flattened."""
    given: dict[str, Any] = {**dict(zip(("input", "repeats", "dim"), args, strict=False)), **kwargs}
    data, repeats, dim = given["input"], given["repeats"], given.get("dim")
    if not isinstance(repeats, int):
        return func(*args, **kwargs)
    if dim is None:
        data, dim = data.flatten(), 0
    dim = dim % data.dim()
    shape = list(data.shape)
    wide = data.unsqueeze(dim + 1).expand(*shape[: dim + 1], int(repeats), *shape[dim + 1 :])
    mode.tie(repeats, mode.labels(wide)[dim + 1], "repeat_interleave")
    return wide.flatten(dim, dim + 1)


def _unflatten(mode: SizeMode, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    result = func(*args, **kwargs)
    dim = (args[1] if len(args) > 1 else kwargs["dim"]) % args[0].dim()
    sizes = args[2] if len(args) > 2 else kwargs["sizes"]
    for offset, size in enumerate(sizes):
        if int(size) != -1:
            mode.tie(size, mode.labels(result)[dim + offset], "unflatten")
    return result


def _looked_at(mode: SizeMode, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Python takes the values, and what it does with them goes unseen."""
    record, info = mode.mode.record, mode.mode.info(args[0])
    if record is not None:
        where = user_frame()
        for label in info.labels:
            mode.mode.algebra.fix(label, f"its values are looked at at {where} ({func.__name__})")
        if info.origin is not None:
            record.otherwise.setdefault(info.origin, f"read by {func.__name__} at {where}")
    return func(*args, **kwargs)


def _groups(position: int) -> Handler:
    def handler(mode: SizeMode, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        groups = args[position] if len(args) > position else kwargs.get("groups", 1)
        if int.__index__(groups) == 1:
            return func(*args, **kwargs)  # no rule asks where the usual number came from
        return named(mode, {"groups": groups}, partial(func, *args, **kwargs))

    return handler


def _batch_norm(_mode: SizeMode, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """In evaluation, the operator itself: torch's way to it passes through Python twice and makes an empty tensor."""
    names = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
    given = {
        "weight": None,
        "bias": None,
        "training": False,
        "momentum": 0.1,
        "eps": 1e-5,
        **bound(names, args, kwargs),
    }
    if given["training"] or given["running_mean"] is None or given["input"].device.type not in ("cpu", "meta"):
        return func(*args, **kwargs)
    order = ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps")
    return torch.ops.aten.native_batch_norm.default(*[given[name] for name in order])[0]


def _layer_norm(mode: SizeMode, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    shape = args[1] if len(args) > 1 else kwargs["normalized_shape"]
    values = {f"normalized_shape[{i}]": size for i, size in enumerate(shape)}
    return named(mode, values, partial(func, *args, **kwargs))


def _rms_norm(mode: SizeMode, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Runs as several operators, none of which knows the shape."""
    shape = args[1] if len(args) > 1 else kwargs["normalized_shape"]
    labels = mode.labels(args[0])
    for offset, size in enumerate(shape):
        mode.tie(size, labels[len(labels) - len(shape) + offset], "rms_norm")
    return func(*args, **kwargs)


def _group_norm(mode: SizeMode, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    groups = args[1] if len(args) > 1 else kwargs["num_groups"]
    return named(mode, {"num_groups": groups}, partial(func, *args, **kwargs))


def _whole(mode: SizeMode, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return run_whole(mode.mode, func, args, kwargs)


def _whole_attention(mode: SizeMode, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """torch's function behind `nn.MultiheadAttention`, for subclasses of it: views in it go unseen."""
    given = inspect.signature(func).bind(*args, **kwargs).arguments
    for name, value in given.items():
        if isinstance(value, Tensor) and not name.startswith("out_proj"):
            for label in mode.labels(value):
                mode.mode.algebra.fix(label, f"multi_head_attention_forward divides it, called at {user_frame()}")
    return func(*args, **kwargs)


_HANDLERS: dict[Any, Handler] = {
    **SLICES,
    **GROWTH,
    **dict.fromkeys((Tensor.view, Tensor.reshape, torch.reshape, Tensor.expand), _shaped),
    **dict.fromkeys((Tensor.broadcast_to, torch.broadcast_to), _shaped),
    **dict.fromkeys((Tensor.repeat_interleave, torch.repeat_interleave), _repeat_interleave),
    **dict.fromkeys((Tensor.view_as, Tensor.reshape_as, Tensor.expand_as), _like),
    **dict.fromkeys((Tensor.unflatten, torch.unflatten), _unflatten),
    **dict.fromkeys((Tensor.tolist, Tensor.numpy, Tensor.__array__), _looked_at),
    **dict.fromkeys((F.conv1d, F.conv2d, F.conv3d), _groups(6)),
    **dict.fromkeys((F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d), _groups(6)),
    F.batch_norm: _batch_norm,
    **dict.fromkeys((F.layer_norm, torch.layer_norm), _layer_norm),
    **dict.fromkeys((F.rms_norm, torch.rms_norm), _rms_norm),
    **dict.fromkeys((F.group_norm, torch.group_norm), _group_norm),
    **dict.fromkeys(WHOLES, _whole),
    F.multi_head_attention_forward: _whole_attention,
}
