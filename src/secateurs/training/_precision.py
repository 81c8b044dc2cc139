"""In which number format a device trains."""

from typing import Literal

import torch
from torch import nn

__all__ = ["Precision", "precision_for", "resolve_precision"]

Precision = Literal["32", "bf16"]

_AMPERE = (8, 0)
"""The first NVIDIA generation with bfloat16 matrix units."""


def resolve_precision(precision: Literal["auto", "32", "bf16"], device: torch.device) -> Precision:
    """The precision asked for; "auto" is bf16 where the hardware multiplies matrices in it, else 32.

    That is CUDA from compute capability 8.0 on, and CPUs with AMX. Elsewhere torch emulates bfloat16, at a loss of
    time and digits.
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= _AMPERE else "32"
    return "bf16" if device.type == "cpu" and _has_amx() else "32"


def precision_for(model: nn.Module, precision: Literal["auto", "32", "bf16"], device: torch.device) -> Precision:
    """The same for a model at hand: "auto" leaves weights alone that are not in float32, which autocast expects."""
    single = all(p.dtype == torch.float32 for p in model.parameters() if p.is_floating_point())
    return resolve_precision(precision if single or precision != "auto" else "32", device)


def _has_amx() -> bool:
    # Private in torch, where the public form lists features under names that moved between versions.
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return torch.backends.mkldnn.is_available() and supported is not None and bool(supported())
