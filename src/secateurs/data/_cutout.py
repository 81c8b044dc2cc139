"""Cutout: a square of each image is lost (DeVries and Taylor 2017)."""

import torch
from torch import Tensor

from secateurs.data._draws import Draws

__all__ = ["cut_out"]

_DOWN, _RIGHT = 4, 5


def cut_out(x: Tensor, draws: Draws, side: int) -> Tensor:
    """Fill a square around a uniform random pixel with 0, in place; x is normalised, so that is the mean."""
    rows = _within(x.shape[2], draws.below(_DOWN, x.shape[2]), side)
    columns = _within(x.shape[3], draws.below(_RIGHT, x.shape[3]), side)
    return x.masked_fill_((rows[:, :, None] & columns[:, None, :])[:, None], 0)


def _within(extent: int, centre: Tensor, side: int) -> Tensor:
    """bool [B, extent]: the `side` pixels around each centre, as far as there are any."""
    past = torch.arange(extent, device=centre.device) - (centre - side // 2)[:, None]
    return (past >= 0) & (past < side)
