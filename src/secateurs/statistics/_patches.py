"""What a layer's outputs read: patches of its input, and how often each place is read."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs.statistics._layers import Layer, groups_of, kernel_of

__all__ = ["coverage", "patches", "rows_of", "spread"]


def rows_of(layer: Layer, inputs: Tensor) -> Tensor:
    """The inputs as [N, C, *places]: padded where padding is no zeros; places of a linear map are on one dim."""
    if isinstance(layer, nn.Linear):
        flat = inputs.reshape(1 if inputs.dim() == 1 else len(inputs), -1, inputs.shape[-1])
        return flat.transpose(1, 2)
    batched = inputs if inputs.dim() == layer.weight.dim() else inputs[None]
    if layer.padding_mode == "zeros":
        return batched
    return F.pad(batched, _pads(layer), mode=layer.padding_mode)


def spread(layer: Layer, gradients: Tensor) -> Tensor:
    """Gradients of outputs as [N, O, T]."""
    if isinstance(layer, nn.Linear):
        flat = gradients.reshape(1 if gradients.dim() == 1 else len(gradients), -1, gradients.shape[-1])
        return flat.transpose(1, 2)
    batched = gradients if gradients.dim() == layer.weight.dim() else gradients[None]
    return batched.flatten(2)


def coverage(layer: Layer, places: tuple[int, ...]) -> tuple[Tensor | None, int]:
    """How often each place [prod(places)] is read by any output through any kernel offset, and how many outputs
    there are; None for once each.

    Args:
        places: spatial sizes of what `rows_of` gives.
    """
    if isinstance(layer, nn.Linear):
        return None, places[0]
    counts, outputs = np.ones(1), 1
    for dim, size in enumerate(places):
        before, after = _margins(layer, dim)
        reach = layer.dilation[dim] * (layer.kernel_size[dim] - 1)
        count = (size + before + after - reach - 1) // layer.stride[dim] + 1
        starts = np.arange(count)[:, None] * layer.stride[dim] - before
        read = (starts + np.arange(layer.kernel_size[dim]) * layer.dilation[dim]).ravel()
        along = np.bincount(read[(read >= 0) & (read < size)], minlength=size)
        counts, outputs = np.multiply.outer(counts, along).ravel(), outputs * count
    return (None if (counts == 1).all() else torch.from_numpy(counts)), outputs


def patches(layer: Layer, rows: Tensor) -> Tensor:
    """What each output reads, [N, groups, d, T], with d = channels of a group x kernel offsets, as weights have it.

    Args:
        rows: what `rows_of` gives.
    """
    kernel, channels = kernel_of(layer), rows.shape[1]
    if not isinstance(layer, nn.Linear):
        if layer.padding_mode == "zeros":
            rows = F.pad(rows, _pads(layer))
        for dim, size in enumerate(kernel):
            reach = layer.dilation[dim] * (size - 1) + 1
            rows = rows.unfold(2 + dim, reach, layer.stride[dim])[..., :: layer.dilation[dim]]
        spatial, offsets = range(2, 2 + len(kernel)), range(2 + len(kernel), 2 + 2 * len(kernel))
        rows = rows.permute(0, 1, *offsets, *spatial)
    groups = groups_of(layer)
    width = channels // groups * int(np.prod(kernel, dtype=np.int64))
    return rows.reshape(len(rows), groups, width, -1)


def _margins(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, dim: int) -> tuple[int, int]:
    """Zeros before and behind a spatial dim."""
    if layer.padding_mode != "zeros":
        return 0, 0
    pads = _pads(layer)
    first = len(pads) - 2 * (dim + 1)
    return pads[first], pads[first + 1]


def _pads(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> list[int]:
    """As `F.pad` takes them, also for paddings that are given as a word."""
    return list(layer._reversed_padding_repeated_twice)
