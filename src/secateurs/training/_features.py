"""What layers of two networks read, watched while both run."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from secateurs._errors import TrainingError

__all__ = ["Features", "Watcher"]

Features = Mapping[str, Tensor]
"""Path of a layer in both networks -> which channels of what the teacher's layer reads the student's has, in order."""


class Watcher:
    """Keeps what some layers of a network read, until `taken`.

    Args:
        training: keep it where gradients are computed, and else nothing.
    """

    def __init__(self, model: nn.Module, paths: tuple[str, ...], *, training: bool) -> None:
        self._seen: dict[str, Tensor] = {}
        self._training = training
        self._handles = [self._watch(model.get_submodule(path), path) for path in paths]

    def _watch(self, layer: nn.Module, path: str) -> RemovableHandle:
        def keep(_layer: nn.Module, args: tuple[Any, ...]) -> None:
            if torch.is_grad_enabled() == self._training:
                self._seen[path] = args[0]

        return layer.register_forward_pre_hook(keep)

    def taken(self) -> dict[str, Tensor]:
        """What was read since the last time."""
        seen = dict(self._seen)
        self._seen.clear()
        if len(seen) < len(self._handles):
            raise TrainingError(
                "distillation features",
                wanted=f"a call of each of {len(self._handles)} watched layers",
                got=f"calls of {len(seen)}",
                cure="Train the network that was given as student; strategy 'fsdp' trains a copy of it.",
            )
        return seen

    def close(self) -> None:
        """Watch no more."""
        for handle in self._handles:
            handle.remove()


def channel_dim(layer: nn.Module) -> int:
    """Of what a layer reads: the last of a linear layer, the one after the batch of others."""
    return -1 if isinstance(layer, nn.Linear) else 1
