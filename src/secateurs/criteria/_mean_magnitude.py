"""Filters by their mean absolute weight."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from secateurs._errors import ConfigError, PlanError
from secateurs._nearest import nearest_hint
from secateurs.criteria._criterion import Criterion, Loss
from secateurs.criteria._registry import register
from secateurs.graph import Axis, Graph, Member

__all__ = ["MeanMagnitude"]

_TOGETHER = ("min", "mean", "sum")


@final
@register("mean_magnitude")
@dataclass(frozen=True, kw_only=True)
class MeanMagnitude(Criterion):
    """The mean absolute weight of the filter that produces a unit: its L1 norm over the number of its weights.

    Scores of layers of all sizes compare as they are. A unit that several layers produce together (the stream of a
    residual network, an expanded channel and its depthwise filter) has the smallest of their means: in an order over
    all filters, it goes when the first of them comes up. A unit with several positions in a layer has the mean over
    them. An axis that no weight produces counts all parameters that it shows up in instead. Multiplying all weights by
    c > 0 multiplies the scores by c. Scores are float32, or float64 where a weight is.

    Source: Li et al., Pruning Filters for Efficient ConvNets, 2017 (the norm); divided and put into one order over all
    layers as in published subset-aware pruning (ADaPT).

    Args:
        together: of several layers, the "min", the "mean" or the "sum".
        leave: patterns of layers that have no say where another one has, such as the shortcuts of a residual network.

    Raises:
        ConfigError: an option out of range.
        PlanError: when called, weights on the meta device or not finite.
    """

    together: Literal["min", "mean", "sum"] = "min"
    leave: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.together not in _TOGETHER:
            cure = nearest_hint(self.together, _TOGETHER, "Take one of these.")
            wanted = f"one of {', '.join(_TOGETHER)}"
            raise ConfigError("criterion 'mean_magnitude' together", wanted=wanted, got=repr(self.together), cure=cure)

    def score(self, graph: Graph, batches: Iterable[Any] | None, loss: Loss | None) -> Mapping[str, Tensor]:
        """See the class."""
        del batches, loss
        return {axis.name: self._of(graph, axis) for axis in graph.axes}

    def _of(self, graph: Graph, axis: Axis) -> Tensor:
        means = torch.stack([_means(graph, axis, member) for member in self._members(graph, axis)])
        double = any(graph.tensor(member.path).dtype == torch.float64 for member in axis.members)
        combined = means.amin(0) if self.together == "min" else means.sum(0)
        if self.together == "mean":
            combined = combined / len(means)
        return combined if double else combined.float()

    def _members(self, graph: Graph, axis: Axis) -> Sequence[Member]:
        """The members whose weights count."""
        making = [member for member in axis.members if member.role == "produces"]
        ranked = [member for member in making if not any(_fits(member.path, pattern) for pattern in self.leave)]
        owned = [member for member in axis.members if isinstance(graph.tensor(member.path), nn.Parameter)]
        return ranked or making or owned or axis.members


def _fits(path: str, pattern: str) -> bool:
    return fnmatchcase(path, pattern) or fnmatchcase(path.rpartition(".")[0], pattern)


def _means(graph: Graph, axis: Axis, member: Member) -> Tensor:
    """Of one layer: float64 [axis.size], a mean for each unit."""
    tensor = graph.tensor(member.path).detach()
    if tensor.is_meta:
        cure = "Load the model's weights before scoring."
        raise PlanError(member.path, wanted="weights with values", got="a meta tensor", cure=cure)
    rows = tensor.movedim(member.dim, 0).reshape(tensor.shape[member.dim], -1)
    means = rows.double().abs().mean(1).cpu()[torch.as_tensor(member.positions)]
    units = torch.as_tensor(member.units)
    sums = torch.zeros(axis.size, dtype=torch.float64).index_add(0, units, means)
    return sums / torch.bincount(units, minlength=axis.size).clamp(min=1)
