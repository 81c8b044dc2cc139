"""Repair of convolutions whose patches are too many for their moments: one matrix between channels."""

import torch
from torch import Tensor

from secateurs.statistics import SecondMoments
from secateurs.surgery._repair_fit import Fit, fit
from secateurs.surgery._repair_sites import Site

__all__ = ["channel_rows", "combined", "takes_patches"]


def takes_patches(site: Site, limit: int) -> bool:
    """Whether the moments of whole patches take no more than so many bytes."""
    inputs, outputs = site.weight[0].numel(), site.weight.shape[0] // site.window.groups
    return 8 * site.window.groups * inputs * (inputs + outputs) <= limit or not site.window.kernel


def channel_rows(inputs: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Rows [N, 1, C] of what the cut layer reads and of what the dense one does, at each place."""
    return tuple(part.movedim(1, -1).reshape(-1, 1, part.shape[1]) for part in (inputs, wanted))  # type: ignore[return-value]


def combined(moments: SecondMoments, dense: Tensor, kept: Tensor, ridge: float) -> tuple[Tensor, Tensor, Fit]:
    """Weight [O, kept, *kernel] and what the bias gains [O], as if the dense channels were those that `moments` says
    the kept ones come nearest to; the fit of channels.

    At borders, where a kernel reads zeros, the means that the bias stands for are too much: it is not exact there.

    Args:
        dense: weight [O, C, *kernel].
        kept: places of the kept channels.
    """
    count = dense.shape[1]
    start = torch.zeros(1, count, len(kept), dtype=torch.float64, device=dense.device)
    start[0, kept, torch.arange(len(kept), device=dense.device)] = 1
    found = fit(moments, start, None, ridge=ridge, intercept=True)
    wide = dense.double()
    weight = torch.einsum("oc...,cj->oj...", wide, found.weight[0])
    bias = torch.einsum("oc...,c->o", wide, found.bias[0])
    return weight, bias, found
