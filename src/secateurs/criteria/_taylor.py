"""The change of the loss when a unit goes, to first order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor

from secateurs._errors import ConfigError
from secateurs.criteria._gates import Products
from secateurs.criteria._pass import Listener, Seen, Streamed, device_of
from secateurs.criteria._registry import register
from secateurs.criteria._weights import WeightSums, learned, slopes
from secateurs.graph import Graph

__all__ = ["Taylor"]


@final
@register("taylor")
@dataclass(frozen=True, kw_only=True)
class Taylor(Streamed):
    """How much the loss changes when a unit's weights, or its activations, are set to 0: the first-order term.

        s_u = | sum over members W of the axis, over entries w of u in W, of w * dL/dw |         at="weights"
        s_u = mean over images n of | sum over places where u is read, of a_u * dL_n/da_u |      at="gate"

    L is the mean loss over all images and L_n that of image n alone. With "weights" the members are all parameters of
    the unit, made, per unit or read, and gradients are summed over all images before the absolute value is taken, so
    that images cancel each other. With "gate" they do not: a_u is what the weights that read the unit read, with the
    gradient through those weights alone (in a residual stream nothing counts twice); units of a branch are taken
    before their sum, queries and keys where they are made.

    Both are the same for batches of any size, if the loss is the mean over a batch. "weights" costs one forward and
    backward pass and a few numbers per unit; "gate" has no gradients of weights to compute, which is cheaper, and
    needs the gradient with respect to all that is read.

    Source: Molchanov et al., Importance Estimation for Neural Network Pruning, 2019 (weights, there squared); Molchanov
    et al., Pruning Convolutional Neural Networks for Resource Efficient Inference, 2017 (gate).

    Args:
        at: "weights" or "gate".

    Raises:
        ConfigError: another place.
        PlanError: when called, no batches, no loss, or, at gates, an axis whose readers cannot be observed.
    """

    at: Literal["weights", "gate"] = "weights"

    def __post_init__(self) -> None:
        if self.at not in ("weights", "gate"):
            cure = "Take one of these."
            raise ConfigError("criterion 'taylor' at", wanted="'weights' or 'gate'", got=repr(self.at), cure=cure)

    def listen(self, graph: Graph) -> Listener:
        """See the class."""
        return _of_weights(graph) if self.at == "weights" else _of_gates(graph)


def _of_weights(graph: Graph) -> Listener:
    sums = WeightSums(graph, {axis.name: learned(graph, axis) for axis in graph.axes})

    def weights(gradients: Mapping[str, Tensor], images: int) -> None:
        for path in sums.paths:
            sums.add(path, slopes(graph, path, gradients[path]) * images)

    def finish(seen: Seen) -> Mapping[str, Tensor]:
        return {name: found.abs() / max(seen.images, 1) for name, found in sums.per_unit().items()}

    return Listener(sums=sums.sums, weights=weights, finish=finish)


def _of_gates(graph: Graph) -> Listener:
    device = device_of(graph)
    sums = {axis.name: torch.zeros(axis.size, dtype=torch.float64, device=device) for axis in graph.axes}

    def gates(products: Products) -> None:
        for name, found in products.items():
            sums[name] += found.abs().sum(0)

    def finish(seen: Seen) -> Mapping[str, Tensor]:
        return {name: found.cpu() / max(seen.images, 1) for name, found in sums.items()}

    return Listener(sums=[*sums.values()], gates=gates, finish=finish)
