"""torch's own layers, called without torch's way through hooks and functions.

While a model is traced on meta tensors, each of its layers of a class that torch itself defines is called here, as
long as nothing hangs on the call: no hook, no other forward, no gradients, no further modes. What it computes is then
the operator that torch would have come to. Anything else goes torch's way.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from secateurs.graph._record import Passage, Record
from secateurs.graph.sizes._direct import DIRECT, batch_norm, convolution, layer_norm, linear, undisturbed
from secateurs.graph.sizes._mode import SizeMode

__all__ = ["direct_layers", "hooked"]

Layer = Callable[[SizeMode, Any, Tensor], Any]
"""(mode, module, input) to the module's result, or `NotImplemented`."""


def direct_layers(mode: SizeMode, record: Record, modules: Mapping[str, nn.Module]) -> None:
    """The layers among these modules take the short way until somebody restores the modules' attributes.

    To be called inside the modes of the trace.
    """
    modes = torch._C._len_torch_function_stack()
    for path, module in modules.items():
        layer = _LAYERS.get(type(module))
        if layer is not None and type(module).forward is _FORWARDS[type(module)]:
            vars(module).setdefault("_compiled_call_impl", _Shortcut(mode, record, module, path, layer, modes))


def hooked() -> bool:
    """Whether anything is called with every module of the program."""
    names = ("forward", "forward_pre", "backward", "backward_pre")
    return any(getattr(hooks, f"_global_{name}_hooks") for name in names)


class _Shortcut:
    """What torch calls in the place of one module."""

    __slots__ = ("_attributes", "_layer", "_mode", "_modes", "_module", "_path", "_record")

    def __init__(self, mode: SizeMode, record: Record, module: nn.Module, path: str, layer: Layer, modes: int) -> None:
        self._mode, self._record, self._module, self._path = mode, record, module, path
        self._layer, self._modes, self._attributes = layer, modes, vars(module)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs and type(args[0]) is Tensor and self._is_free():
            with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
                result = self._run(args[0]) if args[0].is_meta else NotImplemented
            if result is not NotImplemented:
                return result
        return self._module._call_impl(*args, **kwargs)

    def _is_free(self) -> bool:
        own = self._attributes
        return (
            torch._C._len_torch_function_stack() == self._modes
            and undisturbed(self._mode.dispatch_modes)
            and not own["_forward_hooks"]
            and not own["_forward_pre_hooks"]
            and not own["_backward_hooks"]
            and not own["_backward_pre_hooks"]
            and not own["training"]
            and "forward" not in own
        )

    def _run(self, data: Tensor) -> Any:
        mode, record = self._mode.mode, self._record
        start = record.moment()
        mode.modules.append(self._path)
        output = self._layer(self._mode, self._module, data)
        mode.modules.pop()
        if output is not NotImplemented:
            labels, storage = mode.info(output).labels, output.untyped_storage()._cdata
            record.passages.append(Passage(self._path, start, record.moment(), labels, storage, output._version))
        return output


def _tensor(module: nn.Module, name: str) -> Any:
    """A parameter or buffer as the module's code would find it; something that is no tensor where that is not sure."""
    if name in vars(module):
        return NotImplemented
    return module._parameters[name] if name in module._parameters else module._buffers.get(name, NotImplemented)


def _convolution(mode: SizeMode, module: Any, data: Tensor) -> Any:
    if module.padding_mode != "zeros":
        return NotImplemented
    given = (module.stride, module.padding, module.dilation, module.groups)
    return convolution(mode, data, _tensor(module, "weight"), _tensor(module, "bias"), *given)


def _linear(mode: SizeMode, module: Any, data: Tensor) -> Any:
    return linear(mode, data, _tensor(module, "weight"), _tensor(module, "bias"))


def _batch_norm(*ranks: int) -> Layer:
    def layer(mode: SizeMode, module: Any, data: Tensor) -> Any:
        if data.dim() not in ranks:
            return NotImplemented
        operands = [_tensor(module, name) for name in ("weight", "bias", "running_mean", "running_var")]
        return batch_norm(mode, data, *operands, False, module.momentum, module.eps)

    return layer


def _layer_norm(mode: SizeMode, module: Any, data: Tensor) -> Any:
    operands = (_tensor(module, "weight"), _tensor(module, "bias"), module.eps)
    return layer_norm(mode, data, module.normalized_shape, *operands)


def _activation(function: Any) -> Layer:
    """One without arguments, but for `inplace` where the module has it."""
    direct = DIRECT[function]

    def layer(mode: SizeMode, module: Any, data: Tensor) -> Any:
        return direct(mode, (data,), {"inplace": True} if getattr(module, "inplace", False) is True else {})

    return layer


def _gelu(mode: SizeMode, module: Any, data: Tensor) -> Any:
    return NotImplemented if module.approximate != "none" else DIRECT[nn.functional.gelu](mode, (data,), {})


def _clamped(mode: SizeMode, module: Any, data: Tensor) -> Any:
    bounds = (module.min_val, module.max_val)
    if any(type(bound) is not float for bound in bounds):
        return NotImplemented
    operator = torch.ops.aten.hardtanh_ if module.inplace else torch.ops.aten.hardtanh
    return mode.mode.operate(operator.default, data, *bounds)


def _itself(_mode: SizeMode, _module: Any, data: Tensor) -> Any:
    return data


def _dropout(_mode: SizeMode, module: Any, data: Tensor) -> Any:
    return data if type(module.p) in (int, float) else NotImplemented


_LAYERS: Mapping[type[nn.Module], Layer] = {
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), _convolution),
    nn.Linear: _linear,
    nn.BatchNorm1d: _batch_norm(2, 3),
    nn.BatchNorm2d: _batch_norm(4),
    nn.BatchNorm3d: _batch_norm(5),
    nn.LayerNorm: _layer_norm,
    nn.ReLU: _activation(nn.functional.relu),
    nn.SiLU: _activation(nn.functional.silu),
    nn.Hardswish: _activation(nn.functional.hardswish),
    nn.Hardsigmoid: _activation(nn.functional.hardsigmoid),
    nn.Sigmoid: _activation(torch.sigmoid),
    nn.Tanh: _activation(torch.tanh),
    nn.GELU: _gelu,
    nn.ReLU6: _clamped,
    nn.Identity: _itself,
    nn.Dropout: _dropout,
}
"""Class to how its modules are run."""
_FORWARDS = {kind: kind.forward for kind in _LAYERS}
"""What the classes do, unless somebody replaces it."""
