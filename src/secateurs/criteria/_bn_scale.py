"""The scales of norms."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from secateurs._errors import PlanError
from secateurs.criteria._criterion import Criterion, Loss
from secateurs.criteria._magnitude import Magnitude
from secateurs.criteria._registry import register
from secateurs.graph import Axis, Graph, Member, module_at

__all__ = ["BNScale", "norm_scales"]


@final
@register("bn_scale")
@dataclass(frozen=True, kw_only=True)
class BNScale(Criterion):
    """The scale of the norms that a unit goes through,

        s_u = mean over norms of the axis, and over the positions of u, of |gamma_u|

    with batch norms above all, and group, layer, instance and RMS norms, also of other packages: any module whose
    `weight` is a vector per unit and no bias. It says much where training pulled the scales to zero (an L1 penalty on
    them), and else little. A unit of an axis without norms has its `Magnitude`, scaled so that the axis has the mean
    score of all norms. Multiplying all parameters by c > 0 multiplies the scores by c. No data.

    Source: Liu et al., Learning Efficient Convolutional Networks through Network Slimming, 2017.

    Raises:
        PlanError: when called, a network without any norm that scales units.
    """

    def score(self, graph: Graph, batches: Iterable[Any] | None, loss: Loss | None) -> Mapping[str, Tensor]:
        """See the class."""
        del batches, loss
        members = {axis.name: norm_scales(graph, axis) for axis in graph.axes}
        found = {axis.name: _mean(graph, axis, members[axis.name]) for axis in graph.axes if members[axis.name]}
        if graph.axes and not found:
            cure = "Take another criterion, such as magnitude."
            where = f"criterion 'bn_scale', {type(graph.model).__name__}"
            raise PlanError(where, wanted="norms that scale units", got="none", cure=cure)
        middle = torch.cat([*found.values()]).mean() if found else torch.zeros(())
        magnitudes = Magnitude()(graph)
        return {
            name: found[name] if name in found else values.double() * middle / values.double().mean().clamp(min=1e-300)
            for name, values in magnitudes.items()
        }


def norm_scales(graph: Graph, axis: Axis) -> Sequence[Member]:
    """The members of an axis that are scales of norms."""
    return [member for member in axis.members if _is_scale(graph, member)]


def _is_scale(graph: Graph, member: Member) -> bool:
    parent, _, name = member.path.rpartition(".")
    tensor = graph.tensor(member.path)
    plain = isinstance(tensor, nn.Parameter) and tensor.dim() == 1 and member.role == "scales"
    return plain and name == "weight" and not isinstance(module_at(graph.model, parent), nn.PReLU)


def _mean(graph: Graph, axis: Axis, members: Sequence[Member]) -> Tensor:
    sums, counts = (torch.zeros(axis.size, dtype=torch.float64) for _ in range(2))
    for member in members:
        units = torch.from_numpy(member.units)
        found = graph.tensor(member.path).detach().double().abs().cpu()[torch.from_numpy(member.positions)]
        sums.index_add_(0, units, found)
        counts.index_add_(0, units, torch.ones_like(found))
    return sums / counts.clamp(min=1)
