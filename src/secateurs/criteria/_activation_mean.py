"""How strongly units are active on average."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from secateurs.criteria._pass import Listener, Streamed
from secateurs.criteria._registry import register
from secateurs.criteria._tally import Tally, total
from secateurs.criteria._watching import Sight
from secateurs.graph import Graph

__all__ = ["ActivationMean"]


@final
@register("activation_mean")
@dataclass(frozen=True, kw_only=True)
class ActivationMean(Streamed):
    """The mean activation of a unit where it is read,

        s_u = mean over sites, of the mean over images and places of |a_u|,

    for all weights that read the unit (so after norm, nonlinearity and pooling); of a unit with several positions
    (a flattened channel, a head) the mean over these. Units of a branch are taken before their sum, queries and keys
    where they are made. Batches may be of any size. One forward pass, one number per position as memory.

    Source: Molchanov et al., Pruning Convolutional Neural Networks for Resource Efficient Inference, 2017 (mean
    activation, there behind a ReLU, where |a| = a).

    Args:
        absolute: |a|; False for a, where low is far below zero.

    Raises:
        PlanError: when called, no batches, or an axis whose readers cannot be observed.
    """

    absolute: bool = True

    def listen(self, graph: Graph) -> Listener:
        """See the class."""
        tally = Tally(graph, self._measure)
        return Listener(sums=tally.sums, see=tally.see, finish=tally.per_unit)

    def _measure(self, sight: Sight) -> tuple[Tensor, float]:
        return total(sight, torch.abs if self.absolute else torch.positive)
