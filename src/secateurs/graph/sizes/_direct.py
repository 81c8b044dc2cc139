"""Common functions of torch, run as the operators that they are.

torch's own way from a function to its operators passes through Python twice and through its dispatcher, which takes
longer than the rest. A trace on meta tensors takes the short way here for the usual calls, with the operators that
torch would have come to, in their order; all others go torch's way (`NotImplemented`).
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs.graph._mode import LabelMode
from secateurs.graph.sizes._scopes import bound, named

if TYPE_CHECKING:  # the mode holds this table
    from secateurs.graph.sizes._mode import SizeMode

__all__ = ["DIRECT", "Direct", "batch_norm", "convolution", "layer_norm", "linear", "run_direct", "undisturbed"]

Direct = Callable[["SizeMode", tuple[Any, ...], dict[str, Any]], Any]
"""(mode, args, kwargs) to a function's result, or `NotImplemented`."""

_aten = torch.ops.aten


def undisturbed(dispatch_modes: int) -> bool:
    """Whether torch would hand a call to the modes of a trace and to nothing else: no gradients, no transforms."""
    return (
        torch._C._len_torch_dispatch_stack() == dispatch_modes
        and not torch.is_grad_enabled()
        and not torch._C._are_functorch_transforms_active()
    )


def run_direct(mode: "SizeMode", direct: Direct, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A function's result, or `NotImplemented`."""
    if mode.mode.shadows is None or not undisturbed(mode.dispatch_modes):
        return NotImplemented
    with torch._C._DisableTorchDispatch():
        return direct(mode, args, kwargs)


def _is_empty(*tensors: Any) -> bool:
    """Whether these are plain meta tensors, or `None`."""
    for tensor in tensors:  # noqa: SIM110 - a third of the time of `all`
        if tensor is not None and (type(tensor) not in _PLAIN or not tensor.is_meta):
            return False
    return True


_PLAIN = (Tensor, nn.Parameter)


def convolution(mode: "SizeMode", data: Any, weight: Any, bias: Any, *given: Any) -> Any:
    """`given`: stride, padding and dilation, each a sequence with one integer per dim of space, and groups."""
    if not _is_empty(data, weight, bias) or data.dim() != weight.dim():
        return NotImplemented
    *places, groups = given
    rank, plain = data.dim() - 2, []
    try:
        for values in places:
            if type(values) not in (tuple, list) or len(values) != rank:
                return NotImplemented
            plain.append([int.__index__(value) for value in values])
        number = int.__index__(groups)
    except TypeError:  # other numbers than Python's
        return NotImplemented
    operands = (data, weight, bias, *plain, False, [0] * rank, number)
    if number == 1:
        return mode.mode.operate(_aten.convolution.default, *operands)
    return named(mode, {"groups": groups}, lambda: mode.mode.operate(_aten.convolution.default, *operands))


def _convolution(mode: "SizeMode", args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if len(args) != 7 or kwargs:  # as torch's layers call it
        return NotImplemented
    return convolution(mode, *args)


def linear(mode: "SizeMode", data: Any, weight: Any, bias: Any = None) -> Any:
    """Rows of a matrix, or of a block of them."""
    if not _is_empty(data, weight, bias) or weight.dim() != 2 or not data.numel():
        return NotImplemented
    if data.dim() < 2 or not data.is_contiguous() or data.shape[-1] != weight.shape[1]:
        return NotImplemented
    if bias is not None and bias.dim() != 1:
        return NotImplemented
    operate = mode.mode.operate
    if data.dim() == 2:
        right = operate(_aten.t.default, weight)
        return _product(mode.mode, bias, data, right)
    shape, rows = [*data.shape[:-1], weight.shape[0]], [data.numel() // weight.shape[1], weight.shape[1]]
    if bias is None:
        right = operate(_aten.t.default, weight)
        product = _product(mode.mode, None, operate(_aten.view.default, data, rows), right)
        return operate(_aten._unsafe_view.default, product, shape)
    left = operate(_aten.view.default, data, rows)
    product = _product(mode.mode, bias, left, operate(_aten.t.default, weight))
    return operate(_aten.view.default, product, shape)


def _product(mode: LabelMode, bias: Any, left: Tensor, right: Tensor) -> Any:
    if bias is None:
        return mode.operate(_aten.mm.default, left, right)
    return mode.operate(_aten.addmm.default, bias, left, right)


def _linear(mode: "SizeMode", args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = bound(("input", "weight", "bias"), args, kwargs)
    return linear(mode, given["input"], given["weight"], given.get("bias"))


def batch_norm(mode: "SizeMode", *operands: Any) -> Any:
    """Data, weight, bias, mean, variance, whether in training, momentum, eps."""
    if operands[5] or operands[3] is None or not _is_empty(*operands[:5]):
        return NotImplemented
    if type(operands[6]) is not float or type(operands[7]) is not float:
        return NotImplemented
    return mode.mode.operate(_aten.native_batch_norm.default, *operands)[0]


def _batch_norm(mode: "SizeMode", args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    names = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
    given = bound(names, args, kwargs)
    order = (*(given.get(name) for name in ("input", "weight", "bias", "running_mean", "running_var")),)
    return batch_norm(mode, *order, *(given.get(name) for name in names[5:]))


def layer_norm(mode: "SizeMode", data: Any, shape: Any, *operands: Any) -> Any:
    """Data, the sizes of the dims normalised over; weight, bias, eps."""
    if not _is_empty(data, *operands[:2]) or type(shape) not in (tuple, list) or type(operands[2]) is not float:
        return NotImplemented
    sizes = [int.__index__(size) for size in shape]
    if list(data.shape[data.dim() - len(sizes) :]) != sizes:
        return NotImplemented
    scopes = {f"normalized_shape[{i}]": size for i, size in enumerate(shape)}
    call = (_aten.native_layer_norm.default, data, sizes, *operands)
    return named(mode, scopes, lambda: mode.mode.operate(*call)[0])


def _layer_norm(mode: "SizeMode", args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = bound(("input", "normalized_shape", "weight", "bias", "eps"), args, kwargs)
    operands = (given.get("weight"), given.get("bias"), given.get("eps", 1e-5))
    return layer_norm(mode, given["input"], given["normalized_shape"], *operands)


def _unary(operator: Any, in_place: Any = None) -> Direct:
    """A function of one tensor, which may have an argument `inplace`."""

    def direct(mode: "SizeMode", args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        chosen = operator
        if len(args) != 1 or kwargs:
            if in_place is None or len(args) != 1 or kwargs.keys() != {"inplace"}:
                return NotImplemented
            chosen = in_place if kwargs["inplace"] else operator
        return mode.mode.operate(chosen, *args) if _is_empty(*args) else NotImplemented

    return direct


def _pair(operator: Any) -> Direct:
    """Two tensors, or one and a number."""

    def direct(mode: "SizeMode", args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if len(args) != 2 or kwargs or not _is_empty(args[0]):
            return NotImplemented
        known = type(args[1]) in (int, float) or (args[1] is not None and _is_empty(args[1]))
        return mode.mode.operate(operator, *args) if known else NotImplemented

    return direct


def _pairs(name: str, *more: str) -> dict[Any, Direct]:
    plain, written = (_pair(getattr(_aten, f"{name}{end}").Tensor) for end in ("", "_"))
    functions = [getattr(torch, name), getattr(Tensor, name), *[getattr(Tensor, f"__{other}__") for other in more]]
    in_place = [getattr(Tensor, f"{name}_"), *[getattr(Tensor, f"__i{other}__") for other in more]]
    return {**dict.fromkeys(functions, plain), **dict.fromkeys(in_place, written)}


DIRECT: Mapping[Any, Direct] = {
    **dict.fromkeys((F.conv1d, F.conv2d, F.conv3d), _convolution),
    F.linear: _linear,
    F.batch_norm: _batch_norm,
    F.layer_norm: _layer_norm,
    F.relu: _unary(_aten.relu.default, _aten.relu_.default),
    F.silu: _unary(_aten.silu.default, _aten.silu_.default),
    F.hardswish: _unary(_aten.hardswish.default, _aten.hardswish_.default),
    F.hardsigmoid: _unary(_aten.hardsigmoid.default, _aten.hardsigmoid_.default),
    F.gelu: _unary(_aten.gelu.default),
    **dict.fromkeys((torch.relu, Tensor.relu), _unary(_aten.relu.default)),
    **dict.fromkeys((torch.relu_, Tensor.relu_), _unary(_aten.relu_.default)),
    **dict.fromkeys((torch.sigmoid, Tensor.sigmoid), _unary(_aten.sigmoid.default)),
    **dict.fromkeys((torch.tanh, Tensor.tanh), _unary(_aten.tanh.default)),
    **_pairs("add", "add"),
    **_pairs("mul", "mul"),
}
"""Function to how it is run."""
