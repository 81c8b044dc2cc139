"""Sums over all that passes by at sites, per position."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from secateurs.criteria._blocks import blocks
from secateurs.criteria._pass import Seen, device_of
from secateurs.criteria._sites import Columns, Site, sites_of
from secateurs.criteria._watching import Sight
from secateurs.graph import Graph

__all__ = ["Tally", "total"]


def total(sight: Sight, measure: Callable[[Tensor], Tensor]) -> tuple[Tensor, float]:
    """The sums per channel [C] of what `measure` makes of every number, and how many numbers each adds up."""
    values, dtype = sight.values, torch.promote_types(sight.values.dtype, torch.float32)
    count = values.numel() / max(values.shape[sight.dim], 1)
    if values.dim() + sight.dim == 0:  # channels are in front: one image without a batch
        return measure(values.to(dtype)).sum(sight.others) if sight.others else measure(values.to(dtype)), count
    sums = torch.zeros(values.shape[sight.dim], dtype=torch.float64, device=values.device)
    for (part,) in blocks(values):
        sums += measure(part.to(dtype)).sum(sight.others)
    return sums, count


class Tally:
    """At each site, float64 sums and counts per position.

    Args:
        measure: from a sight to numbers per channel [C], and how many things each of them adds up.
    """

    def __init__(self, graph: Graph, measure: Callable[[Sight], tuple[Tensor, float]]) -> None:
        self._graph, self._measure = graph, measure
        device = device_of(graph)
        distinct = dict.fromkeys(site for own in sites_of(graph).values() for site in own)
        self._sums = {site: torch.zeros(2, site.size, dtype=torch.float64, device=device) for site in distinct}

    @property
    def sites(self) -> list[Site]:
        """All that is watched."""
        return [*self._sums]

    @property
    def sums(self) -> list[Tensor]:
        """All that is added up."""
        return [*self._sums.values()]

    def see(self, sight: Sight) -> None:
        """Take one sight into account."""
        found, count = self._measure(sight)
        groups = sight.groups
        found = found.double().reshape(groups, -1).sum(0)
        row = self._sums[sight.site][:, sight.first : sight.first + len(found)]
        row[0] += found
        row[1] += count * groups

    def means(self, site: Site) -> Tensor:
        """Per position [size], on the CPU; 0 where nothing passed by."""
        sums, counts = self._sums[site].cpu().unbind()
        return sums / counts.clamp(min=1)

    def per_unit(self, seen: Seen) -> Mapping[str, Tensor]:
        """The mean over what passed by of each unit at a site, then over the unit's sites."""
        return {axis.name: self._of(axis.size, seen.sites[axis.name]) for axis in self._graph.axes}

    def _of(self, size: int, own: Mapping[Site, Columns]) -> Tensor:
        total, sites = (torch.zeros(size, dtype=torch.float64) for _ in range(2))
        for site, columns in own.items():
            sums, counts = self._sums[site].cpu().unbind()
            positions, units = columns.on(torch.device("cpu"))
            found, there = (
                torch.zeros(size, dtype=torch.float64).index_add_(0, units, part[positions]) for part in (sums, counts)
            )
            total += found / there.clamp(min=1)
            sites += there > 0
        return total / sites.clamp(min=1)
