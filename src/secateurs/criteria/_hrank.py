"""Ranks of feature maps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from secateurs.criteria._pass import Listener, Seen, Streamed
from secateurs.criteria._registry import register
from secateurs.criteria._tally import Tally
from secateurs.criteria._watching import Sight
from secateurs.graph import Graph

__all__ = ["HRank"]


@final
@register("hrank")
@dataclass(frozen=True, kw_only=True)
class HRank(Streamed):
    """The rank of a unit's feature map where it is read,

        s_u = mean over sites and images of rank(a_u),    a_u the height x width matrix of one image,

    for all weights that read the unit. Where a site has feature maps, sites without (a linear layer behind pooling) do
    not count; units that only have vectors or single numbers get the rank of a row: how often any of them is not 0. Of
    a unit with several positions the mean over these. Ranks are whole numbers: many units tie.

    The rank counts singular values above max(height, width) * eps * the largest. One forward pass, and a decomposition
    of every feature map: many times the cost of the pass (docs/results/criteria.md); the authors found 500 images
    enough.

    Source: Lin et al., HRank: Filter Pruning using High-Rank Feature Map, 2020.

    Raises:
        PlanError: when called, no batches, or an axis whose readers cannot be observed.
    """

    def listen(self, graph: Graph) -> Listener:
        """See the class."""
        tally = Tally(graph, _ranks)
        sites = tally.sites
        maps = torch.zeros(len(sites), dtype=torch.float64)

        def see(sight: Sight) -> None:
            tally.see(sight)
            maps[sites.index(sight.site)] += min(_matrices(sight).shape[-2:]) > 1

        def finish(seen: Seen) -> Mapping[str, Tensor]:
            with_maps = {site for site, found in zip(sites, maps.tolist(), strict=True) if found}
            chosen = {name: {site: own[site] for site in own if site in with_maps} for name, own in seen.sites.items()}
            return tally.per_unit(Seen(images=seen.images, sites={n: chosen[n] or seen.sites[n] for n in chosen}))

        return Listener(sums=[*tally.sums, maps], see=see, finish=finish)


_MOST = 2**22
"""Numbers decomposed at a time."""


def _matrices(sight: Sight) -> Tensor:
    """[channels, images, height, width]; a row where there is no height."""
    values = sight.values.to(torch.promote_types(sight.values.dtype, torch.float32)).movedim(sight.dim, 0)
    while values.dim() < 4:
        values = values.unsqueeze(-2 if values.dim() == 3 else -1)
    return values.flatten(1, -3)


def _ranks(sight: Sight) -> tuple[Tensor, float]:
    """Sums of the ranks of each channel's maps."""
    matrices = _matrices(sight)
    step = max(1, _MOST // max(1, matrices[0].numel()))
    sums = [torch.linalg.matrix_rank(some).sum(1) for some in matrices.split(step)]
    return torch.cat(sums), matrices.shape[1]
