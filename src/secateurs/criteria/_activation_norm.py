"""Norms of weights and of what they read, multiplied."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor

from secateurs._errors import ConfigError
from secateurs.criteria._pass import Listener, Seen, Streamed
from secateurs.criteria._registry import register
from secateurs.criteria._sites import Columns, Site
from secateurs.criteria._tally import Tally, total
from secateurs.graph import Graph

__all__ = ["ActivationNorm"]


@final
@register("activation_norm")
@dataclass(frozen=True, kw_only=True)
class ActivationNorm(Streamed):
    """Weights that read a unit, times the root mean square of what they read there,

        s_u = sum over readers W, over positions j of u on W's reading dim, of sum_i |W_ij| * rms(x_j),    p = 1
        s_u = sqrt(sum over the same of sum_i W_ij^2 * rms(x_j)^2),                                        p = 2

    where i runs over all other dims of W (outputs, kernel offsets) and rms(x_j)^2 is the mean of x_j^2 over images and
    places. With p = 2 that is the energy which the readers' outputs would lose, if units were uncorrelated. Wanda
    removes single weights by |W_ij| * norm(x_j); summing over i makes it one number for all that reads a unit. In a
    grouped convolution, x_j is all that meets position j.

    Units of a branch have rms(x) where they leave for their sum, queries and keys where they are made: no weights read
    them there. Batches may be of any size. One forward pass, one number per position as memory.

    Source: Sun et al., A Simple and Effective Pruning Approach for Large Language Models (Wanda), 2024; summed over
    readers as in An et al., Fluctuation-based Adaptive Structured Pruning, 2024 (its Wanda-sp).

    Args:
        p: 1 or 2.

    Raises:
        ConfigError: another p.
        PlanError: when called, no batches, or an axis whose readers cannot be observed.
    """

    p: Literal[1, 2] = 1

    def __post_init__(self) -> None:
        if self.p not in (1, 2):
            raise ConfigError("criterion 'activation_norm' p", wanted="1 or 2", got=repr(self.p), cure="Take 1 or 2.")

    def listen(self, graph: Graph) -> Listener:
        """See the class."""
        tally = Tally(graph, lambda sight: total(sight, torch.square))

        def finish(seen: Seen) -> Mapping[str, Tensor]:
            energies = {site: self._energies(graph, tally, site) for own in seen.sites.values() for site in own}
            return {axis.name: self._of(axis.size, seen.sites[axis.name], energies) for axis in graph.axes}

        return Listener(sums=tally.sums, see=tally.see, finish=finish)

    def _energies(self, graph: Graph, tally: Tally, site: Site) -> Tensor:
        """Per position, to the power of p."""
        rms = tally.means(site).sqrt()
        if site.kind != "read":
            return rms**self.p
        weight = graph.tensor(site.path).detach().double().movedim(site.dim, 0)
        norms: Tensor = torch.linalg.vector_norm(weight.reshape(len(weight), -1), ord=self.p, dim=1)
        return (norms.cpu() * rms) ** self.p

    def _of(self, size: int, own: Mapping[Site, Columns], energies: Mapping[Site, Tensor]) -> Tensor:
        total = torch.zeros(size, dtype=torch.float64)
        for site, columns in own.items():
            positions, units = columns.on(torch.device("cpu"))
            total.index_add_(0, units, energies[site][positions])
        return total ** (1 / self.p)
