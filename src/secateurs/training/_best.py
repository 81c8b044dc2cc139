"""The weights of the epoch that validation images found best."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from secateurs.training._ema import Average
from secateurs.training._patience import best_epoch
from secateurs.training._records import EpochRecord

__all__ = ["Best"]


class Best:
    """All parameters and buffers as they were after the best epoch so far, held beside the model.

    It refers to the model's tensors, not to their names: they must stay the same objects. Where there is a moving
    average, that is what validation looked at, and what is held.
    """

    def __init__(self, model: nn.Module, average: Average | None) -> None:
        named = dict(model.named_parameters()) | dict(model.named_buffers())
        self._live = [tensor.detach() for tensor in named.values()]
        self._average = average
        self._held = {name: tensor.detach().clone() for name, tensor in named.items()}

    @torch.no_grad()
    def see(self, history: tuple[EpochRecord, ...]) -> None:
        """Hold the model as it is where the last of these epochs is the best of them."""
        if best_epoch(history) < len(history) - 1:
            return
        shown: AbstractContextManager[None] = self._average.lent() if self._average is not None else nullcontext()
        with shown:
            for held, live in zip(self._held.values(), self._live, strict=True):
                held.copy_(live)

    def tensors(self) -> dict[str, Tensor]:
        """The held values by parameter and buffer name; which epoch's they are, the history says."""
        return dict(self._held)

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over values that `tensors` gave, in place."""
        for name, held in self._held.items():
            held.copy_(tensors[name])

    @torch.no_grad()
    def give(self) -> None:
        """Put the held values into the model."""
        for live, held in zip(self._live, self._held.values(), strict=True):
            live.copy_(held)
