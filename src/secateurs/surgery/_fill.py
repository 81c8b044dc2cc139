"""Random weights for proofs: networks often start with zeros that hide what was cut."""

import math

import torch
from torch import Tensor, nn

from secateurs.graph import tensors_of

__all__ = ["fill_random"]


def fill_random(model: nn.Module, *, seed: int) -> None:
    """Fill every parameter and buffer that is no integer with random values that let signals through many layers.

    Weights keep the size of what passes a ReLU, scales of norms lie around 1, variances are positive; with larger
    biases and means the first layers of a deep network would hardly change its outputs.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in tensors_of(model).items():
            if tensor.is_floating_point() or tensor.is_complex():
                parts = torch.view_as_real(tensor) if tensor.is_complex() else tensor
                values = torch.randn(parts.shape, generator=generator, dtype=torch.float64)
                parts.copy_(_of_moderate_size(values, tensor.dim(), name))


def _of_moderate_size(values: Tensor, dims: int, name: str) -> Tensor:
    if name.endswith(("var", "std")):
        return values.abs() + 0.5
    if dims > 1:
        return values * math.sqrt(2 / max(1, values[0].numel()))
    return 1 + 0.3 * values if name.endswith("weight") else 0.2 * values
