"""Ridge least squares from second moments."""

from dataclasses import dataclass

import torch
from torch import Tensor

from secateurs.statistics import SecondMoments

__all__ = ["Fit", "fit"]

_TRIES = 12


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """A linear map that rebuilds what was wanted.

    Attributes:
        weight: [groups, outputs, inputs].
        bias: [groups, outputs]; zeros where none was allowed.
        before, after: mean squared error over the variance of what was wanted, of the weights given and of these.
    """

    weight: Tensor
    bias: Tensor
    before: float
    after: float


def fit(moments: SecondMoments, weight: Tensor, bias: Tensor | None, *, ridge: float, intercept: bool) -> Fit:
    """The map W x + b nearest to y in the mean square, plus `ridge` times the mean variance of x times |W - weight|^2.

    Solved twice, the second time from the first solution (iterated Tikhonov regularisation), in double precision by a
    Cholesky decomposition. Inputs that never vary keep their weights.

    Args:
        weight: [groups, outputs, inputs], as they are.
        bias: [groups, outputs], likewise.
        intercept: whether b is free; else it stays.
    """
    weight = weight.double()
    bias = torch.zeros_like(weight[..., 0]) if bias is None else bias.double()
    (mean_x, mean_y), (_, _, variance) = moments.means, moments.central()
    if intercept:
        xx, xy, _ = moments.central()
    else:
        xx, xy, _ = moments.raw()
        xy = xy - mean_x[:, :, None] * bias[:, None, :]
    scale = xx.diagonal(dim1=1, dim2=2).mean(1)
    change = _solve(xx, xy - xx @ weight.mT, ridge * scale).mT
    found = weight + change
    free = mean_y - (found @ mean_x[:, :, None])[..., 0] if intercept else bias
    return Fit(
        weight=found,
        bias=free,
        before=_error(moments, weight, bias, variance),
        after=_error(moments, found, free, variance),
    )


def _solve(xx: Tensor, xy: Tensor, damping: Tensor) -> Tensor:
    """(xx + damping)^-1 xy for each group; what does not vary in a group without any variance stays as it is."""
    eye = torch.eye(xx.shape[-1], dtype=xx.dtype, device=xx.device)
    scale = xx.diagonal(dim1=1, dim2=2).mean(1)
    damping = torch.where(scale > 0, damping.clamp(min=1e-15 * scale), torch.ones_like(scale))
    for _ in range(_TRIES):
        factor, failed = torch.linalg.cholesky_ex(xx + damping[:, None, None] * eye)
        if not failed.any():
            found = torch.cholesky_solve(xy, factor)
            # Once more from there: what can be restored exactly then is, with hardly less said about the rest.
            return found + torch.cholesky_solve(xy - xx @ found, factor)
        damping = torch.where(failed > 0, damping * 10, damping)
    return torch.zeros_like(xy)


def _error(moments: SecondMoments, weight: Tensor, bias: Tensor, variance: Tensor) -> float:
    """Mean squared error over the variance of y, over all outputs of all groups."""
    (mean_x, mean_y), (xx, xy, _) = moments.means, moments.central()
    spread = variance - 2 * (weight * xy.mT).sum(2) + ((weight @ xx) * weight).sum(2)
    offset = mean_y - (weight @ mean_x[:, :, None])[..., 0] - bias
    total = float((spread.clamp(min=0) + offset.square()).sum())
    scale = float(variance.sum())
    return total / scale if scale > 0 else total
