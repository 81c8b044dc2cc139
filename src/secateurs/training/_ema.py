"""An exponential moving average of a model's weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from secateurs.training._held import HeldValues

__all__ = ["Average"]


class Average(HeldValues):
    """The average of all parameters and floating-point buffers, held beside the model; see `TrainOptions.ema`."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        named = (*model.named_parameters(), *model.named_buffers())
        super().__init__({name: tensor for name, tensor in named if tensor.is_floating_point()})
        self._decay = decay

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the weights after step `step` of the whole training, 0-based; launches one kernel."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self._held.values()), self._live, 1 - decay)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """The model holds the average inside, and its own weights again afterwards."""
        own = [tensor.clone() for tensor in self._live]
        self.give()
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._live, own)
