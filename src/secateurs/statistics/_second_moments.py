"""Second moments of what a linear map reads, and cross moments with what it shall give, added up piece by piece."""

from functools import partial

import torch
from torch import Tensor

__all__ = ["SecondMoments"]

_PRECISE = 1024
"""Inputs up to which products are taken in double precision; above, in the precision of the data."""


class SecondMoments:
    """Of rows x [N, groups, D] and y [N, groups, O]: counts, means, and the moments xx, xy and (per output) yy.

    Everything is added up in double precision around the means of the first piece, so that large means cost no digits.
    Memory: 8 (D^2 + D O) bytes per group.
    """

    def __init__(self) -> None:
        self.count = 0
        self._origin: tuple[Tensor, Tensor] | None = None

    def add(self, x: Tensor, y: Tensor) -> None:
        """Take more rows into account."""
        if not len(x):
            return
        if self._origin is None:
            self._start(x, y)
        assert self._origin is not None
        dtype = torch.float64 if x.shape[-1] <= _PRECISE else torch.promote_types(x.dtype, torch.float32)
        x, y = (part.to(dtype) - middle.to(dtype) for part, middle in zip((x, y), self._origin, strict=True))
        x, y = x.transpose(0, 1), y.transpose(0, 1)
        self.count += x.shape[1]
        self._x += x.sum(1, dtype=torch.float64)
        self._y += y.sum(1, dtype=torch.float64)
        self._xx += x.mT @ x
        self._xy += x.mT @ y
        self._yy += y.square().sum(1, dtype=torch.float64)

    def _start(self, x: Tensor, y: Tensor) -> None:
        self._origin = x.mean(0, dtype=torch.float64), y.mean(0, dtype=torch.float64)
        groups, inputs, outputs = x.shape[1], x.shape[2], y.shape[2]
        made = partial(torch.zeros, dtype=torch.float64, device=x.device)
        self._x, self._y = made(groups, inputs), made(groups, outputs)
        self._xx, self._xy = made(groups, inputs, inputs), made(groups, inputs, outputs)
        self._yy = made(groups, outputs)

    @property
    def means(self) -> tuple[Tensor, Tensor]:
        """Of x [groups, D] and y [groups, O]."""
        assert self._origin is not None
        return self._origin[0] + self._x / self.count, self._origin[1] + self._y / self.count

    def central(self) -> tuple[Tensor, Tensor, Tensor]:
        """Covariances xx [groups, D, D] and xy [groups, D, O], and the variances of y [groups, O]."""
        x, y = self._x / self.count, self._y / self.count
        return (
            self._xx / self.count - x[:, :, None] * x[:, None, :],
            self._xy / self.count - x[:, :, None] * y[:, None, :],
            (self._yy / self.count - y.square()).clamp(min=0),
        )

    def raw(self) -> tuple[Tensor, Tensor, Tensor]:
        """The same without the means taken away."""
        (x, y), (xx, xy, yy) = self.means, self.central()
        return xx + x[:, :, None] * x[:, None, :], xy + x[:, :, None] * y[:, None, :], yy + y.square()
