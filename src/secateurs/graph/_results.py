"""What common operators return on meta tensors, without asking torch.

torch computes the results of many operators on meta tensors in Python, in 0.1 to 0.6 ms each; that would be most of
the time of a trace. The functions here give the same shape, type and strides for the usual calls in some
microseconds, and `None` for all others, which torch then answers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

__all__ = ["RESULTS"]

_aten = torch.ops.aten
_META = torch.device("meta")


def _empty(sizes: Sequence[int], like: Tensor) -> Tensor:
    return torch.empty(sizes, dtype=like.dtype, device=_META)


def _like(data: Tensor) -> Tensor | None:
    """An empty tensor laid out as a dense one is; `torch.empty_like` takes 50 times as long on the meta device."""
    if data.is_contiguous():
        return _empty(data.shape, data)
    wanted = 1
    for stride, size in sorted(zip(data.stride(), data.shape, strict=True)):
        if size == 1:
            continue
        if stride != wanted:
            return None
        wanted *= size
    return torch.empty_strided(data.shape, data.stride(), dtype=data.dtype, device=_META)


def _unary(data: Any, *_more: Any, **_options: Any) -> Tensor | None:
    """A floating result of the type and layout of the first argument."""
    if data.is_meta and data.is_floating_point():
        return _like(data)
    return None


def _binary(first: Any, second: Any, *_more: Any, **_options: Any) -> Tensor | None:
    """Two floating tensors of one type, or one and a number; the wider is laid out as a block."""
    if not isinstance(first, Tensor) or not first.is_meta or not first.is_floating_point():
        return None
    if not isinstance(second, Tensor):
        return _like(first) if isinstance(second, (int, float)) else None
    if not second.is_meta or second.dtype != first.dtype:
        return None
    if first.shape == second.shape:
        same = first.stride() == second.stride() or (first.is_contiguous() and second.is_contiguous())
        return _like(first) if same else None
    if not first.is_contiguous() or not second.is_contiguous():
        return None
    shape = torch.broadcast_shapes(first.shape, second.shape)
    return _empty(shape, first)


def _in_place(target: Any, *others: Any, **_options: Any) -> Tensor | None:
    """The target, where the others are numbers or of its own shape."""
    if not target.is_meta or not target.is_floating_point():
        return None
    for other in others:
        if isinstance(other, Tensor) and (not other.is_meta or other.shape != target.shape or other.is_complex()):
            return None
    increment_version(target)
    given: Tensor = target
    return given


def _batch_norm(data: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool, *_more: Any) -> Any:
    """In evaluation mode nothing but the normalised data is computed."""
    given = (data, weight, bias, mean, var)
    if training or not all(t is None or (t.is_meta and t.dtype == torch.float32) for t in given):
        return None
    if not data.is_contiguous() or weight is None:
        return None
    nothing = _empty((0,), data)
    return _empty(data.shape, data), nothing, nothing


def _layer_norm(data: Any, shape: Any, weight: Any, bias: Any, _eps: float) -> Any:
    given = (data, weight, bias)
    if not all(t is None or (t.is_meta and t.dtype == torch.float32) for t in given) or not data.is_contiguous():
        return None
    sizes = (*data.shape[: data.dim() - len(shape)], *[1 for _ in shape])
    return _empty(data.shape, data), _empty(sizes, data), _empty(sizes, data)


def _addmm(bias: Any, left: Any, right: Any, **_options: Any) -> Tensor | None:
    if not bias.is_meta or bias.dim() != 1 or bias.shape[0] != right.shape[1]:
        return None
    return _mm(left, right) if bias.dtype == left.dtype else None


def _mm(left: Any, right: Any) -> Tensor | None:
    if not left.is_meta or not right.is_meta or left.dtype != right.dtype or left.shape[1] != right.shape[0]:
        return None
    return _empty((left.shape[0], right.shape[1]), left)


def _bmm(left: Any, right: Any) -> Tensor | None:
    if not left.is_meta or not right.is_meta or left.dtype != right.dtype:
        return None
    if left.shape[0] != right.shape[0] or left.shape[2] != right.shape[1]:
        return None
    return _empty((left.shape[0], left.shape[1], right.shape[2]), left)


def _softmax(data: Any, _dim: int, half_to_float: bool) -> Tensor | None:
    if not data.is_meta or not data.is_floating_point() or half_to_float or not data.is_contiguous():
        return None
    return _empty(data.shape, data)


def _convolution(data: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, *more: Any) -> Any:
    transposed, _, groups = more
    given = (data, weight) if bias is None else (data, weight, bias)
    rank = data.dim() - 2
    if transposed or rank > 2 or not all(t.is_meta and t.dtype == data.dtype for t in given):
        return None
    if any(len(given) != rank for given in (stride, padding, dilation)) or data.shape[1] != weight.shape[1] * groups:
        return None
    sizes = [data.shape[0], weight.shape[0]]
    for place in range(rank):
        wide = data.shape[2 + place] + 2 * padding[place] - dilation[place] * (weight.shape[2 + place] - 1) - 1
        sizes.append(wide // stride[place] + 1)
    if min(sizes) < 1:
        return None
    if rank == 2 and (_in_channels_last(data) or _in_channels_last(weight)):
        return torch.empty(sizes, dtype=data.dtype, device=_META, memory_format=torch.channels_last)
    return _empty(sizes, data)


def _in_channels_last(data: Tensor) -> bool:
    """What the CPU's convolution takes for channels-last: also by the strides of dims of one position."""
    shape, strides, least = data.shape, data.stride(), 0
    if strides[1] == 0:
        return False
    for dim in (1, 3, 2, 0):
        if shape[dim] == 0 or strides[dim] < least or (dim == 0 and least == strides[1]):
            return False
        least = strides[dim] * max(shape[dim], 1)
    return True


def _mean(data: Any, dims: Any, keepdim: bool = False, **options: Any) -> Tensor | None:
    if not data.is_meta or not data.is_floating_point() or options or not dims or not data.is_contiguous():
        return None
    gone = {dim % data.dim() for dim in dims}
    sizes = [1 if dim in gone else size for dim, size in enumerate(data.shape) if keepdim or dim not in gone]
    return _empty(sizes, data)


def _overloads(function: Callable[..., Any], *names: str) -> dict[Any, Callable[..., Any]]:
    """The function for operators by name, with their overload after a dot where they have several."""
    found = {}
    for name in names:
        packet, _, overload = name.partition(".")
        found[getattr(getattr(_aten, packet), overload or "default")] = function
    return found


_UNARY = ("relu", "gelu", "silu", "sigmoid", "tanh", "hardswish", "hardsigmoid", "hardtanh", "leaky_relu", "elu")
_PAIRS = ("add", "sub", "mul", "div")

RESULTS: Mapping[Any, Callable[..., Any]] = {
    **_overloads(_unary, *_UNARY, "exp", "rsqrt", "sqrt", "neg", "cos", "sin", "erf", "mish", "softplus"),
    **_overloads(_in_place, *[f"{name}_" for name in _UNARY]),
    **_overloads(_binary, *[f"{name}.Tensor" for name in _PAIRS]),
    **_overloads(_in_place, *[f"{name}_.Tensor" for name in _PAIRS]),
    **_overloads(_batch_norm, "native_batch_norm"),
    **_overloads(_layer_norm, "native_layer_norm"),
    **_overloads(_addmm, "addmm"),
    **_overloads(_mm, "mm"),
    **_overloads(_bmm, "bmm"),
    **_overloads(_softmax, "_softmax"),
    **_overloads(_mean, "mean.dim"),
    **_overloads(_convolution, "convolution"),
}
"""Operator to a function of its arguments: the result, or `None` where torch has to be asked."""
