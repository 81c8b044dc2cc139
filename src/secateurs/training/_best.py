"""The weights of the epoch that validation images found best."""

from contextlib import AbstractContextManager, nullcontext

from torch import nn

from secateurs.training._ema import Average
from secateurs.training._held import HeldValues
from secateurs.training._patience import best_epoch
from secateurs.training._records import EpochRecord

__all__ = ["Best"]


class Best(HeldValues):
    """All parameters and buffers as they were after the best epoch so far; which one that is, the history says.

    Where there is a moving average, that is what validation looked at, and what is held.
    """

    def __init__(self, model: nn.Module, average: Average | None) -> None:
        super().__init__(dict(model.named_parameters()) | dict(model.named_buffers()))
        self._average = average

    def see(self, history: tuple[EpochRecord, ...]) -> None:
        """Hold the model as it is where the last of these epochs is the best of them."""
        if best_epoch(history) < len(history) - 1:
            return
        shown: AbstractContextManager[None] = self._average.lent() if self._average is not None else nullcontext()
        with shown:
            self.take()
