"""Magnitude as a share of what is left when weaker units are gone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from secateurs.criteria._criterion import Criterion, Loss
from secateurs.criteria._magnitude import Magnitude
from secateurs.criteria._registry import register
from secateurs.graph import Graph

__all__ = ["LAMP"]


@final
@register("lamp")
@dataclass(frozen=True, kw_only=True)
class LAMP(Criterion):
    """The squared magnitude of a unit, divided by that of all units of its axis that are not below it,

        s_u = m_u^2 / (sum over v with m_v >= m_u of m_v^2),    m the `Magnitude` with p = 2,

    so that scores compare across axes: the last unit of each has 1, and removing by a global threshold gives each axis
    its own ratio. Units of the same magnitude have the same score. Within an axis the order is that of magnitude.
    Multiplying weights by a constant changes nothing. No data.

    Source: Lee et al., Layer-Adaptive Sparsity for the Magnitude-based Pruning, 2021; there for single weights.

    Raises:
        PlanError: when called, weights on the meta device or not finite.
    """

    def score(self, graph: Graph, batches: Iterable[Any] | None, loss: Loss | None) -> Mapping[str, Tensor]:
        """See the class."""
        del batches, loss
        return {name: _shares(found.double()) for name, found in Magnitude()(graph).items()}


def _shares(magnitudes: Tensor) -> Tensor:
    squares = (magnitudes / magnitudes.max().clamp(min=torch.finfo(torch.float64).tiny)).square()
    ascending = squares.sort().values
    # From each value on to the highest; equal ones share the sum that starts with the first of them.
    above = ascending.flip(0).cumsum(0).flip(0)
    return squares / above[torch.searchsorted(ascending, squares)].clamp(min=torch.finfo(torch.float64).tiny)
