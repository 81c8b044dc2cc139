"""Other values of a model's tensors, held beside it."""

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["HeldValues"]


class HeldValues:
    """A copy of some of a model's tensors, which can be saved, loaded and put into the model.

    It refers to the model's tensors, not to their names: they must stay the same objects.
    """

    def __init__(self, live: Mapping[str, Tensor]) -> None:
        detached = {name: tensor.detach() for name, tensor in live.items()}
        self._live = list(detached.values())
        # In the order of memory that the weights have, so that both are walked through alike.
        self._held = {name: torch.empty_like(tensor).copy_(tensor) for name, tensor in detached.items()}

    def tensors(self) -> dict[str, Tensor]:
        """The held values by parameter and buffer name: the whole state, there is no other."""
        return dict(self._held)

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over values that `tensors` gave, in place."""
        for name, held in self._held.items():
            held.copy_(tensors[name])

    @torch.no_grad()
    def take(self) -> None:
        """Hold the model's values as they are now."""
        torch._foreach_copy_(list(self._held.values()), self._live)

    @torch.no_grad()
    def give(self) -> None:
        """Put the held values into the model."""
        torch._foreach_copy_(self._live, list(self._held.values()))
