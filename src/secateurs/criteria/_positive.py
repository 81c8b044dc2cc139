"""A network as a positive linear map, while its own code runs."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["Positive"]


class Positive(TorchFunctionMode):
    """Inside, norms only scale, layers have no biases, and nonlinearities pass on what is positive."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _REPLACED.get(func, func)(*args, **(kwargs or {}))


def _passed(values: Tensor, *_args: Any, **_kwargs: Any) -> Tensor:
    """Also written back where the original would write in place: both are the same."""
    return values.clamp(min=0)


def _shared(values: Tensor, dim: int = -1, *_args: Any, **_kwargs: Any) -> Tensor:
    """In the place of a softmax; what is hidden by minus infinity stays so."""
    return values.clamp(min=0) / values.shape[dim]


def _attention(
    query: Tensor, key: Tensor, value: Tensor, *_args: Any, scale: float | None = None, **_kwargs: Any
) -> Tensor:
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    repeats = query.shape[-3] // key.shape[-3] if query.dim() > 2 and key.dim() > 2 else 1
    if repeats > 1:  # several queries share a key
        key, value = key.repeat_interleave(repeats, -3), value.repeat_interleave(repeats, -3)
    return _shared(query @ key.transpose(-2, -1) * factor) @ value


def _scaled(values: Tensor, scale: Tensor | None, dim: int = 1) -> Tensor:
    if scale is None:
        return values
    shape = [1] * values.dim()
    shape[dim] = -1
    return values * scale.abs().reshape(shape)


def _batch_norm(
    values: Tensor,
    running_mean: Tensor | None = None,  # noqa: ARG001 - of the original
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,  # noqa: ARG001
    training: bool = False,  # noqa: ARG001
    momentum: float = 0.1,  # noqa: ARG001
    eps: float = 1e-5,
) -> Tensor:
    values = _scaled(values, weight)
    return values if running_var is None else _scaled(values, (running_var + eps).rsqrt())


def _layer_norm(
    values: Tensor, normalized_shape: Any, weight: Tensor | None = None, *_args: Any, **_kwargs: Any
) -> Tensor:
    del normalized_shape
    return values if weight is None else values * weight.abs()


def _group_norm(values: Tensor, num_groups: int, weight: Tensor | None = None, *_args: Any, **_kwargs: Any) -> Tensor:
    del num_groups
    return _scaled(values, weight)


def _instance_norm(
    values: Tensor, running_mean: Any = None, running_var: Any = None, weight: Tensor | None = None, **_kwargs: Any
) -> Tensor:
    del running_mean, running_var
    return _scaled(values, weight)


def _without_bias(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(values: Tensor, weight: Tensor, bias: Tensor | None = None, *args: Any, **kwargs: Any) -> Any:
        del bias
        return function(values, weight, None, *args, **kwargs)

    return run


def _product(_bias: Tensor, values: Tensor, weight: Tensor, **_kwargs: Any) -> Tensor:
    return values @ weight


_LAYERS = (
    *(F.linear, torch.conv1d, torch.conv2d, torch.conv3d),
    *(torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d),
)
_NONLINEAR = (
    *(F.relu6, F.hardtanh, F.gelu, F.silu, F.mish, F.hardswish, F.elu, F.selu, F.celu, F.leaky_relu, F.softplus),
    *(F.hardsigmoid, F.sigmoid, F.tanh, F.prelu, F.relu, F.softsign),
    *(torch.tanh, Tensor.tanh, torch.sigmoid, Tensor.sigmoid, torch.prelu, torch.selu, torch.celu),
)
_REPLACED: Mapping[Any, Callable[..., Any]] = {
    **{function: _without_bias(function) for function in _LAYERS},
    **dict.fromkeys(_NONLINEAR, _passed),
    **dict.fromkeys((F.softmax, torch.softmax, Tensor.softmax), _shared),
    F.scaled_dot_product_attention: _attention,
    F.batch_norm: _batch_norm,
    F.layer_norm: _layer_norm,
    F.rms_norm: _layer_norm,
    F.group_norm: _group_norm,
    F.instance_norm: _instance_norm,
    torch.addmm: _product,
}
