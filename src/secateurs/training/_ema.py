"""An exponential moving average of a model's weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["Average"]


class Average:
    """The average of all parameters and floating-point buffers, held beside the model; see `TrainOptions.ema`.

    It refers to the model's tensors, not to their names: they must stay the same objects.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        named = (*model.named_parameters(), *model.named_buffers())
        floating = {name: tensor.detach() for name, tensor in named if tensor.is_floating_point()}
        self._decay = decay
        self._live = list(floating.values())
        # In the order of memory that the weights have, so that both are walked through alike.
        self._held = {name: torch.empty_like(tensor).copy_(tensor) for name, tensor in floating.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the weights after step `step` of the whole training, 0-based; launches one kernel."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self._held.values()), self._live, 1 - decay)

    def tensors(self) -> dict[str, Tensor]:
        """The averaged values by parameter and buffer name: the whole state, there is no other."""
        return dict(self._held)

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over values that `tensors` gave, in place."""
        for name, held in self._held.items():
            held.copy_(tensors[name])

    @torch.no_grad()
    def give(self) -> None:
        """Put the average into the model."""
        torch._foreach_copy_(self._live, list(self._held.values()))

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
