"""What an objective has to say of validation images, beside their loss and accuracy."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from secateurs.training._objective import Objective
from secateurs.training._shares import Shares

__all__ = ["Validating"]

_Validate = Callable[[nn.Module, Tensor], tuple[Tensor, Mapping[str, Tensor]]]


class Validating:
    """Gives the scores of one validation batch after another, by the objective's own way where it has one.

    Args:
        objective: with or without a method `validate`; see `Objective`.
        module: that is asked.
        shares: of the validation batches.
    """

    def __init__(self, objective: Objective, module: nn.Module, shares: Shares) -> None:
        self._validate: _Validate | None = getattr(objective, "validate", None)
        self._module, self._shares = module, shares
        self._step = self._images = 0
        self._sums: dict[str, list[Tensor]] = {}

    def __call__(self, images: Tensor) -> Tensor:
        """The scores [B, classes] of the next batch."""
        if self._validate is None:
            scores: Tensor = self._module(images)
            return scores
        scores, figures = self._validate(self._module, images)
        counted = self._shares.counted(self._step, len(images))
        self._step, self._images = self._step + 1, self._images + counted
        for name, values in figures.items():
            # All of this rank's images count, or none of them.
            self._sums.setdefault(name, []).extend([values.detach().sum()] if counted else [])
        return scores

    def figures(self) -> dict[str, float]:
        """The mean of each figure over the images of all ranks."""
        sums = [float(torch.stack(parts).double().sum()) if parts else 0.0 for parts in self._sums.values()]
        *totals, images = self._shares.total([*sums, float(self._images)])
        return {name: total / images for name, total in zip(self._sums, totals, strict=True)}
