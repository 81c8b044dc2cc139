"""Stored statistics of batch norms, moved as a cut moved what they normalise."""

import torch
from torch import Tensor

__all__ = ["Statistics", "moved"]


class Statistics:
    """Mean and variance per channel [C] of tensors [B, C, *places], added up in double precision."""

    def __init__(self) -> None:
        self._count = 0
        self._origin: Tensor | None = None

    def add(self, values: Tensor) -> None:
        """Take another tensor into account."""
        rows = values.movedim(1, 0).flatten(1)
        if self._origin is None:
            self._origin = rows.mean(1, dtype=torch.float64)
            self._sum, self._squares = torch.zeros_like(self._origin), torch.zeros_like(self._origin)
        rows = rows - self._origin.to(rows.dtype)[:, None]
        self._count += rows.shape[1]
        self._sum += rows.sum(1, dtype=torch.float64)
        self._squares += rows.square().sum(1, dtype=torch.float64)

    def result(self) -> tuple[Tensor, Tensor]:
        """Mean and variance."""
        assert self._origin is not None
        mean = self._sum / self._count
        return self._origin + mean, (self._squares / self._count - mean.square()).clamp(min=0)


def moved(
    stored: tuple[Tensor, Tensor], dense: tuple[Tensor, Tensor], cut: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """What to store in the cut model: mean + (cut's - dense's), variance * (cut's / dense's).

    So a repair that restores everything changes nothing, however the calibration images differ from those that the
    statistics are of. Channels that never vary in the dense model keep their variance.
    """
    ratio = torch.where(dense[1] > 0, cut[1] / dense[1].clamp(min=torch.finfo(torch.float64).tiny), 1.0)
    return stored[0] + (cut[0] - dense[0]), stored[1] * ratio
