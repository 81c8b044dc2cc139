"""Second moments of rows, batch by batch."""

import torch
from torch import Tensor

from secateurs.statistics._layers import Layer, groups_of
from secateurs.statistics._patches import coverage, patches, rows_of

__all__ = ["LONGEST", "channel_moments", "gram", "patch_moments"]

LONGEST = 2**25
"""Numbers in the patches that are laid out at a time."""


def gram(rows: Tensor) -> Tensor:
    """Sum over images and places of the outer products: [N, ..., d, P] to [..., d, d]."""
    if rows.dim() == 3 and rows.shape[1] > rows.shape[2]:  # single products would be larger than what they are of
        flat = rows.transpose(0, 1).flatten(1)
        return flat @ flat.T
    return (rows @ rows.transpose(-1, -2)).sum(0)


def channel_moments(layer: Layer, inputs: Tensor) -> tuple[Tensor, Tensor, int]:
    """Sums over positions and the mean over kernel offsets: moments [G, c, c], sums [G, c], and the positions."""
    rows = rows_of(layer, inputs)
    counts, outputs = coverage(layer, tuple(rows.shape[2:]))
    rows = rows.flatten(2)
    groups, offsets = groups_of(layer), layer.weight[0, 0].numel()
    rows = rows.reshape(len(rows), groups, -1, rows.shape[-1]) if groups > 1 else rows
    if counts is None:
        moments, sums = gram(rows), rows.sum((0, -1))
    else:
        weights = (counts / offsets).to(rows)
        sums = rows.sum(0) @ weights
        moments = gram(rows * weights.sqrt())
    width = rows.shape[-2]
    return moments.reshape(groups, width, width), sums.reshape(groups, width), len(rows) * outputs


def patch_moments(layer: Layer, inputs: Tensor) -> tuple[Tensor, Tensor, int]:
    """The same of whole patches, [G, d, d] and [G, d] with d = channels of a group x kernel offsets."""
    rows = rows_of(layer, inputs)
    _, outputs = coverage(layer, tuple(rows.shape[2:]))
    step = max(1, LONGEST // max(1, rows[0].numel() * layer.weight[0, 0].numel()))
    moments: Tensor | None = None
    sums: Tensor | None = None
    for part in rows.split(step):
        found = patches(layer, part)
        flat = found.permute(1, 2, 0, 3).flatten(2)
        own, mean = torch.bmm(flat, flat.transpose(1, 2)), flat.sum(-1)
        moments, sums = (own, mean) if moments is None or sums is None else (moments + own, sums + mean)
    assert moments is not None
    assert sums is not None
    return moments, sums, len(rows) * outputs
