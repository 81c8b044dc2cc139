"""How often units are silent."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from secateurs.criteria._pass import Listener, Streamed
from secateurs.criteria._registry import register
from secateurs.criteria._tally import Tally, total
from secateurs.graph import Graph

__all__ = ["APoZ"]


@final
@register("apoz")
@dataclass(frozen=True, kw_only=True)
class APoZ(Streamed):
    """One minus the average percentage of zeros: how often a unit is active where it is read,

        s_u = mean over sites, of the fraction of images and places with a_u > 0,

    in [0, 1], for all weights that read the unit; of a unit with several positions the mean over these. It is made for
    units behind a ReLU; elsewhere (branches before their sum, queries and keys, smooth nonlinearities) it is the
    fraction above zero. Batches may be of any size. One forward pass, one number per position as memory.

    Source: Hu et al., Network Trimming, 2016.

    Raises:
        PlanError: when called, no batches, or an axis whose readers cannot be observed.
    """

    def listen(self, graph: Graph) -> Listener:
        """See the class."""
        tally = Tally(graph, lambda sight: total(sight, _active))
        return Listener(sums=tally.sums, see=tally.see, finish=tally.per_unit)


def _active(values: Tensor) -> Tensor:
    """1 or 0; as floating numbers, since sums of booleans are slow."""
    return torch.gt(values, 0, out=torch.empty_like(values))
