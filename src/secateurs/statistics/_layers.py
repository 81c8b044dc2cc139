"""Layers whose inputs and gradients are measured: convolutions and linear maps, as modules."""

from collections import Counter
from collections.abc import Mapping
from typing import TypeAlias

from torch import Tensor, nn

__all__ = ["Layer", "groups_of", "kernel_of", "layers_of"]

Layer: TypeAlias = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
_TYPES = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def layers_of(model: nn.Module) -> Mapping[str, Layer]:
    """Path to module, in the model's own order; those alone that do nothing else and share their weight with nobody.

    A subclass may compute something else (weights that are standardised, or parametrised), and is left out.
    """
    uses = Counter(id(value) for module in model.modules() for value in module._parameters.values())
    return {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, _TYPES) and _is_plain(module) and uses[id(module.weight)] == 1
    }


def groups_of(layer: Layer) -> int:
    """1 for a linear map."""
    return 1 if isinstance(layer, nn.Linear) else layer.groups


def kernel_of(layer: Layer) -> tuple[int, ...]:
    """Sizes of the kernel; () for a linear map."""
    return () if isinstance(layer, nn.Linear) else tuple(layer.kernel_size)


def _is_plain(module: nn.Module) -> bool:
    # A weight that a hook puts together anew at every call is no parameter.
    return type(module) in _TYPES and isinstance(module._parameters.get("weight"), Tensor)
