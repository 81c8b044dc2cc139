"""Tensors that are spread over ranks (FSDP2), as whole ones and back."""

import torch
import torch.distributed.tensor as spread
from torch import Tensor

__all__ = ["fill", "is_spread", "local", "spread_like", "whole"]


def is_spread(tensor: Tensor) -> bool:
    """Whether this rank holds only a part of the tensor."""
    return isinstance(tensor, spread.DTensor)


def whole(tensor: Tensor) -> Tensor:
    """All of the tensor, on every rank; every rank must ask."""
    return tensor.full_tensor() if isinstance(tensor, spread.DTensor) else tensor


def local(tensor: Tensor) -> Tensor:
    """The part that this rank holds; all of it where it is not spread."""
    return tensor.to_local() if isinstance(tensor, spread.DTensor) else tensor


def spread_like(value: Tensor, model: Tensor) -> Tensor:
    """`value`, which every rank has whole, spread as `model` is."""
    if not isinstance(model, spread.DTensor) or isinstance(value, spread.DTensor) or value.shape != model.shape:
        return value
    placed = value.to(model.device)
    return spread.distribute_tensor(placed, model.device_mesh, model.placements)


@torch.no_grad()
def fill(tensor: Tensor, value: Tensor) -> None:
    """Put a whole `value` into a tensor, in place."""
    tensor.copy_(spread_like(value, tensor))
