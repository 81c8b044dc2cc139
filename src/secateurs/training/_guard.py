"""A step that can be taken back without asking the device how it went."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from secateurs.training._ema import Average

__all__ = ["Guard"]

# A choice between two tensors by arithmetic on their bits: exact also where one of them holds NaN.
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class Guard:
    """Copies of all that a step changes, and their return where the step was bad; nothing is read by the host.

    It costs the memory of the model, the optimizer's state and the average once more, and two passes over them per
    step.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, average: Average | None) -> None:
        named = (*model.named_parameters(), *model.named_buffers())
        averaged = average.tensors().values() if average else ()
        # One value for many positions cannot be written in place, so no step changes it.
        self._fixed = [t.detach() for t in (*(t for _, t in named), *averaged) if 0 not in _wide_strides(t)]
        self._optimizer = optimizer
        self._live: list[Tensor] = []
        self._saved: list[Tensor] = []
        self._known: set[int] = set()

    @torch.no_grad()
    def save(self) -> None:
        """Copy everything, before the forward pass (which changes BatchNorm's statistics)."""
        state = self._state()
        self._known = {id(tensor) for tensor in state}
        self._live = [_bits(tensor) for tensor in (*self._fixed, *state)]
        if len(self._saved) != len(self._live):
            self._saved = [torch.empty_like(tensor) for tensor in self._live]
        torch._foreach_copy_(self._saved, self._live)

    @torch.no_grad()
    def restore_unless(self, good: Tensor) -> None:
        """Bring the copies back if `good`, a boolean scalar on the device, is false.

        State that the optimizer made in this very step goes to zero: that is how all of torch's optimizers begin.
        """
        for positions in _alike(self._live):
            live, saved = ([tensors[i] for i in positions] for tensors in (self._live, self._saved))
            keep = good.to(live[0].device, live[0].dtype)
            torch._foreach_mul_(live, keep)
            torch._foreach_mul_(saved, 1 - keep)
            torch._foreach_add_(live, saved)
        for bits in (_bits(tensor) for tensor in self._state() if id(tensor) not in self._known):
            bits.mul_(good.to(bits.device, bits.dtype))

    def _state(self) -> list[Tensor]:
        states = self._optimizer.state.values()
        return [value for state in states for value in state.values() if isinstance(value, Tensor)]


def _bits(tensor: Tensor) -> Tensor:
    return tensor.detach().view(_BITS[tensor.element_size()])


def _alike(tensors: Sequence[Tensor]) -> list[list[int]]:
    groups: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    for position, tensor in enumerate(tensors):
        groups.setdefault((tensor.device, tensor.dtype), []).append(position)
    return list(groups.values())


def _wide_strides(tensor: Tensor) -> list[int]:
    return [stride for stride, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1]
