"""Random scores: the control that every other criterion has to beat."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from secateurs._errors import ConfigError
from secateurs.criteria._criterion import Criterion, Loss
from secateurs.criteria._registry import register
from secateurs.graph import Graph

__all__ = ["Random"]


@final
@register("random")
@dataclass(frozen=True, kw_only=True)
class Random(Criterion):
    """Uniform numbers in [0, 1), float64, the same on every machine.

    Each axis draws from a generator of its own, keyed by the seed and the axis name: its scores do not depend on
    which other axes the model has.

    Source: Mittal et al., Recovering from Random Pruning, 2018, among others who show how strong this control is.

    Raises:
        ConfigError: the seed is not an integer.
    """

    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            cure = "Give a whole number."
            raise ConfigError("criterion 'random' seed", wanted="an integer", got=repr(self.seed), cure=cure)

    def score(self, graph: Graph, batches: Iterable[Any] | None, loss: Loss | None) -> Mapping[str, Tensor]:
        """See the class."""
        del batches, loss
        return {axis.name: self._draw(axis.name, axis.size) for axis in graph.axes}

    def _draw(self, name: str, size: int) -> Tensor:
        digest = hashlib.sha256(f"{self.seed}:{name}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        return torch.rand(size, generator=generator, dtype=torch.float64)
