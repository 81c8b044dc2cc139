"""Where the channels of a layer show up besides its weight, and the plan that takes them out."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from secateurs.graph import Axis, Graph, Member, Plan
from secateurs.masks._layers import Layer

__all__ = ["Follower", "followers", "plan_of", "settled"]


@dataclass(frozen=True, kw_only=True)
class Follower:
    """A parameter or buffer dim that has one entry per channel of a layer: a bias, the scale of a norm.

    Attributes:
        path: of the tensor.
        layer: name of the layer.
        positions: int64 [n], entries of that tensor.
        channels: int64 [n], the channel of the layer that each belongs to.
    """

    path: str
    layer: str
    positions: Tensor
    channels: Tensor


def followers(graph: Graph, layers: tuple[Layer, ...]) -> tuple[Follower, ...]:
    """What must be silenced along with the channels of each layer, so that a masked channel is zero behind its norm.

    Only axes that a single layer produces count: elsewhere a channel of one layer is part of a sum.
    """
    found = []
    for layer in layers:
        for axis, producer in _own(graph, layer):
            channel_of = dict(zip(producer.units.tolist(), producer.positions.tolist(), strict=True))
            for member in axis.members:
                if member.role == "scales" and member.dim == 0 and _silences(graph.model, member.path):
                    channels = torch.tensor([channel_of[unit] for unit in member.units.tolist()])
                    positions = torch.from_numpy(np.array(member.positions, dtype=np.int64))
                    found.append(Follower(path=member.path, layer=layer.name, positions=positions, channels=channels))
    return tuple(found)


def plan_of(graph: Graph, layers: tuple[Layer, ...], kept: Mapping[str, Tensor]) -> Plan:
    """The plan that removes every channel that `kept` (layer -> bool [channels]) leaves out, as far as it may go.

    A channel that others add to is removed as a unit of its branch. An axis keeps at least one unit, and channels
    that no axis offers stay, as zeros: the caller can tell by `settled`.
    """
    removed: dict[str, list[int]] = {}
    for layer in layers:
        for axis, producer in _own(graph, layer):
            stays = kept[layer.name].cpu()[torch.from_numpy(np.array(producer.positions, dtype=np.int64))]
            units = {unit for unit, stay in zip(producer.units.tolist(), stays.tolist(), strict=True) if not stay}
            units -= {unit for unit, stay in zip(producer.units.tolist(), stays.tolist(), strict=True) if stay}
            gone = sorted(units)[: axis.size - 1] if len(units) == axis.size else sorted(units)
            if gone:
                removed[axis.name] = gone
    return graph.plan(removed)


def settled(plan: Plan, layers: tuple[Layer, ...], kept: Mapping[str, Tensor]) -> dict[str, int]:
    """Layer -> channels that the mask leaves out and the plan does not remove; empty where the cut is whole."""
    left = {}
    for layer in layers:
        rows = set(plan.kept(layer.weight)[0].tolist())
        masked = {row for row, stay in enumerate(kept[layer.name].tolist()) if not stay}
        if masked & rows:
            left[layer.name] = len(masked & rows)
    return left


def _own(graph: Graph, layer: Layer) -> list[tuple[Axis, Member]]:
    """The axes that this layer alone produces, each with its place on the layer's weight.

    Where the layer adds to a sum, that is its branch: the stream may hold what no weight of its own produces.
    """
    found = []
    for axis in graph.axes:
        producers = [member for member in axis.members if member.role == "produces"]
        if len(producers) == 1 and producers[0].path == layer.weight and producers[0].dim == 0:
            found.append((axis, producers[0]))
    branches = [(axis, member) for axis, member in found if axis.kind == "branch"]
    return branches or found


def _silences(model: nn.Module, path: str) -> bool:
    """Zero there makes the channel zero; of a norm without scale and shift this is so for its running mean."""
    owner, _, name = path.rpartition(".")
    module = model.get_submodule(owner)
    tensor = getattr(module, name)
    if isinstance(tensor, nn.Parameter):
        return tensor.is_floating_point()
    return isinstance(module, _NormBase) and not module.affine and name == "running_mean"
