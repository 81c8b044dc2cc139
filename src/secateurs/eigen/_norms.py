"""Stored statistics of batch norms after a cut."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from secateurs.graph import untouched
from secateurs.statistics import images_in, read_batches

__all__ = ["renew_norms"]

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
Moments = dict[str, list[tuple[Tensor, Tensor]]]


@torch.no_grad()
def renew_norms(dense: nn.Module, small: nn.Module, batches: Iterable[Any]) -> int:
    """Move stored means by what the cut added to those of the images, and stored variances by its factor; how many.

    So where a cut changes nothing nothing is moved, however the images differ from those that the statistics are of.
    Both models run with the statistics of each batch, as in training, so that a norm sees what norms before it will
    give once they are renewed. Batches of one image have none.
    """
    before, after = (_moments(model, batches) for model in (dense, small))
    for path in before.keys() & after.keys():
        norm = small.get_submodule(path)
        (mean, variance), (own_mean, own_variance) = _total(before[path]), _total(after[path])
        tiny = torch.finfo(torch.float64).tiny
        ratio = torch.where(variance > 0, own_variance / variance.clamp(min=tiny), 1.0)
        assert isinstance(norm, _NORMS)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean += (own_mean - mean).to(norm.running_mean)
        norm.running_var *= ratio.to(norm.running_var)
    return len(before.keys() & after.keys())


def _moments(model: nn.Module, batches: Iterable[Any]) -> Moments:
    """Of what each norm reads: means and variances by channel, batch by batch."""
    found: Moments = {}
    norms = {
        path: module
        for path, module in model.named_modules()
        if type(module) in _NORMS and isinstance(module.running_mean, Tensor)
    }
    device = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
    with untouched(model):
        for path, norm in norms.items():
            norm.register_forward_pre_hook(partial(_see, found, path))  # gone with all that `untouched` takes back
            norm.training = True
        for batch in read_batches(batches, "rotate", device):
            if images_in(batch) > 1:
                batch.outputs(model)
    return found


def _see(found: Moments, path: str, _: nn.Module, args: tuple[Tensor, ...]) -> None:
    rows = args[0].movedim(1, 0).flatten(1)
    rows = rows if rows.dtype == torch.float64 else rows.float()
    variance, mean = torch.var_mean(rows, 1, correction=0)
    found.setdefault(path, []).append((mean.double(), variance.double()))


def _total(parts: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Mean and variance over batches, each counted alike: a last one that is smaller weighs more."""
    means, variances = (torch.stack(side) for side in zip(*parts, strict=True))
    return means.mean(0), variances.mean(0) + means.var(0, correction=0)
