"""The same call with another number of samples."""

from collections.abc import Iterable
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from secateurs.graph.model._structure import map_tensors

__all__ = ["batch_in", "resized"]

T = TypeVar("T")


def batch_in(tensors: Iterable[Tensor]) -> int | None:
    """The batch of an example: the first size of the first tensor that has one; None where none has."""
    return next((len(tensor) for tensor in tensors if tensor.dim() > 0 and len(tensor) > 0), None)


def resized(example: T, batch: int, size: int) -> T:
    """Every tensor whose first dim is the batch repeated or cut to `size` along it; any other as it is."""
    made: T = map_tensors(partial(_resized, batch=batch, size=size), example)
    return made


def _resized(leaf: Tensor, batch: int, size: int) -> Tensor:
    if leaf.dim() == 0 or len(leaf) != batch:
        return leaf
    made = leaf[torch.arange(size, device=leaf.device) % batch]
    if leaf.dim() == 4 and not leaf.is_contiguous() and leaf.is_contiguous(memory_format=torch.channels_last):
        return made.contiguous(memory_format=torch.channels_last)
    return made
