"""How far units are from all others."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from secateurs._errors import PlanError
from secateurs.criteria._criterion import Criterion, Loss
from secateurs.criteria._registry import register
from secateurs.graph import Axis, Graph, Member

__all__ = ["GeometricMedian"]


@final
@register("geometric_median")
@dataclass(frozen=True, kw_only=True)
class GeometricMedian(Criterion):
    """The sum of distances between a unit's weights and those of all other units of its axis,

        s_u = sum over v of norm(w_u - w_v),

    where w_u is everything that makes the unit, its positions in all producers, in one vector. Low are units near the
    geometric median of all, which the others can stand in for; magnitude plays no part. Axes that no weight makes are
    compared by all parameters that they show up in. Multiplying all weights by c > 0 multiplies the scores by c. No
    data. Costs units^2 x weights per axis in double precision, in blocks.

    Source: He et al., Filter Pruning via Geometric Median for Deep Convolutional Neural Networks Acceleration, 2019.

    Raises:
        PlanError: when called, weights on the meta device.
    """

    def score(self, graph: Graph, batches: Iterable[Any] | None, loss: Loss | None) -> Mapping[str, Tensor]:
        """See the class."""
        del batches, loss
        return {axis.name: _distances(_makers(graph, axis)) for axis in graph.axes}


_BLOCK = 2**22
"""Distances at a time."""


def _makers(graph: Graph, axis: Axis) -> Sequence[Tensor]:
    """A matrix [units, weights] for every member that makes the units."""
    making = [member for member in axis.members if member.role == "produces"]
    making = making or [member for member in axis.members if isinstance(graph.tensor(member.path), nn.Parameter)]
    return [_rows(graph, member, axis) for member in making]


def _rows(graph: Graph, member: Member, axis: Axis) -> Tensor:
    """[units, positions * the rest], zeros where a unit has fewer positions than others."""
    tensor = graph.tensor(member.path).detach()
    if tensor.is_meta:
        cure = "Load the model's weights before scoring."
        raise PlanError(member.path, wanted="weights with values", got="a meta tensor", cure=cure)
    order = np.argsort(member.units, kind="stable")
    units, positions = member.units[order], member.positions[order]
    counts = np.bincount(units, minlength=axis.size)
    places = np.arange(len(units)) - np.repeat(np.cumsum(counts) - counts, counts)
    values = tensor.double().movedim(member.dim, 0).reshape(tensor.shape[member.dim], -1)
    rows = values.new_zeros(axis.size, int(counts.max()), values.shape[1])
    rows[torch.from_numpy(units), torch.from_numpy(places)] = values[torch.from_numpy(positions)]
    return rows.flatten(1)


def _distances(parts: Sequence[Tensor]) -> Tensor:
    """Sums [units] of the distances between rows, over all parts side by side."""
    # Distances do not see a shift, and products of small numbers cancel less.
    centred = [part - part.mean(0) for part in parts]
    squares = torch.stack([part.square().sum(1) for part in centred]).sum(0)
    step = max(1, _BLOCK // max(1, len(squares)))
    sums = []
    for start in range(0, len(squares), step):
        block = slice(start, start + step)
        products = torch.stack([part[block] @ part.t() for part in centred]).sum(0)
        found = (squares[block, None] + squares - 2 * products).clamp(min=0).sqrt()
        found[torch.arange(len(found)), torch.arange(start, start + len(found))] = 0  # of each from itself
        sums.append(found.sum(1))
    return torch.cat(sums).cpu()
