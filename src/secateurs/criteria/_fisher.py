"""The change of the loss when a unit goes, to second order, with a diagonal Fisher matrix."""

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

__all__ = ["Fisher"]


@final
@register("fisher")
@dataclass(frozen=True, kw_only=True)
class Fisher(Streamed):
    """How much the loss grows when a unit goes: the second-order term, the curvature being the Fisher information.

        s_u = 1/2 * mean over images n of (sum over places where u is read, of a_u * dL_n/da_u)^2          at="gate"
        s_u = 1/2 * sum over members W of the axis, over entries w of u in W, of w^2 * F_w,                at="weights"
        F_w = mean over images n of (dL_n/dw)^2

    L_n is the loss of image n alone, with its own target: the empirical Fisher. "gate" takes a unit as one factor, so
    that its weights' interactions are all in; gates are those of `Taylor`. "weights" is Optimal Brain Damage, summed
    over the parameters of the unit (made, per unit or read), which takes weights to be independent.

    Both are the same for batches of any size, if the loss is the mean over a batch. "gate" costs a forward pass and a
    backward pass to activations alone; "weights" needs each image's own gradient, and runs image by image: batches of
    one, which are slower than large ones (docs/results/criteria.md).

    Source: Theis et al., Faster Gaze Prediction with Dense Networks and Fisher Pruning, 2018 (gate); Liu et al., Group
    Fisher Pruning, 2021 (over all that share a unit); LeCun et al., Optimal Brain Damage, 1990 (weights).

    Args:
        at: "gate" or "weights".

    Raises:
        ConfigError: another place.
        PlanError: when called, no batches, no loss, or, at gates, an axis whose readers cannot be observed.
    """

    at: Literal["gate", "weights"] = "gate"

    def __post_init__(self) -> None:
        if self.at not in ("gate", "weights"):
            cure = "Take one of these."
            raise ConfigError("criterion 'fisher' at", wanted="'gate' or 'weights'", got=repr(self.at), cure=cure)

    def listen(self, graph: Graph) -> Listener:
        """See the class."""
        return _of_weights(graph) if self.at == "weights" else _of_gates(graph)


def _of_weights(graph: Graph) -> Listener:
    sums = WeightSums(graph, {axis.name: learned(graph, axis) for axis in graph.axes})

    def weights(gradients: Mapping[str, Tensor], images: int) -> None:
        del images  # one
        for path in sums.paths:
            sums.add(path, slopes(graph, path, gradients[path]).square())

    def finish(seen: Seen) -> Mapping[str, Tensor]:
        return {name: found / (2 * max(seen.images, 1)) for name, found in sums.per_unit().items()}

    return Listener(sums=sums.sums, weights=weights, finish=finish, single=True)


def _of_gates(graph: Graph) -> Listener:
    device = device_of(graph)
    sums = {axis.name: torch.zeros(axis.size, dtype=torch.float64, device=device) for axis in graph.axes}

    def gates(products: Products) -> None:
        for name, found in products.items():
            sums[name] += found.square().sum(0)

    def finish(seen: Seen) -> Mapping[str, Tensor]:
        return {name: found.cpu() / (2 * max(seen.images, 1)) for name, found in sums.items()}

    return Listener(sums=[*sums.values()], gates=gates, finish=finish)
