"""How much of a flow of ones through the network goes through each unit."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from secateurs.criteria._criterion import Criterion, Loss
from secateurs.criteria._positive import Positive
from secateurs.criteria._registry import register
from secateurs.criteria._weights import WeightSums, connections
from secateurs.graph import Graph, free_attention, map_tensors, module_at, plain_tensors, tensors_in, untouched

__all__ = ["SynFlow"]


@final
@register("synflow")
@dataclass(frozen=True, kw_only=True)
class SynFlow(Criterion):
    """The synaptic flow through a unit's connections,

        s_u = sum over weights w of u of |w| * dR/d|w|

    where R is the sum of the outputs of the network made positive, on ones in the shape of the traced example, and the
    weights of a unit are those, of two dims or more, that make it or read it (in an axis without such weights, all
    parameters). No data, no loss; meant for networks at initialisation, in several small rounds. What makes a unit and
    what reads it have equal sums, so that no layer is lost before all others are.

    Made positive means linear with weights |w|, so that no signs cancel: biases of layers are 0; a batch norm is its
    scale over its running deviation, other norms their scale alone (with their division the flow would not depend on
    weights before them at all); nonlinearities pass on what is positive, also what ReLU6 or tanh would cap; attention
    has weights in proportion to its products. The model itself is not touched. Norms and nonlinearities written out by
    hand are run as written. Inputs of integers are those of the traced example. Double precision throughout.

    Source: Tanaka et al., Pruning neural networks without any data by iteratively conserving synaptic flow, 2020.

    Raises:
        PlanError: when called, a flow that double precision cannot hold.
    """

    def score(self, graph: Graph, batches: Iterable[Any] | None, loss: Loss | None) -> Mapping[str, Tensor]:
        """See the class."""
        del batches, loss
        sums = WeightSums(graph, {axis.name: connections(graph, axis) for axis in graph.axes})
        model = graph.model
        args, kwargs = map_tensors(_ones, (graph.args, graph.kwargs))
        with untouched(model), torch.enable_grad():
            free_attention(model)  # torch's own hides what it does inside
            _double_plain(model)
            weights = {path: graph.tensor(path).detach().double().abs().requires_grad_() for path in sums.paths}
            tensors = _doubled(model.named_parameters()) | _doubled(model.named_buffers(), Tensor.double) | weights
            with Positive():
                outputs = functional_call(model, tensors, args, kwargs)
            if not weights:
                return sums.per_unit()
            flow = torch.stack([part.sum() for part in tensors_in(outputs) if part.is_floating_point()]).sum()
            found = torch.autograd.grad(flow, list(weights.values()), allow_unused=True, materialize_grads=True)
        for (path, weight), gradient in zip(weights.items(), found, strict=True):
            sums.add(path, weight.detach() * gradient)
        return sums.per_unit()


def _doubled(
    tensors: Iterable[tuple[str, Tensor]], function: Callable[[Tensor], Tensor] = lambda tensor: tensor.double().abs()
) -> dict[str, Tensor]:
    """Floating-point tensors in double precision."""
    return {name: function(tensor.detach()) if tensor.is_floating_point() else tensor for name, tensor in tensors}


def _double_plain(model: nn.Module) -> None:
    """Tensors that nobody registered, in double precision; whoever calls this puts attributes back."""
    for path, tensor in plain_tensors(model).items():
        parent, _, name = path.rpartition(".")
        attributes = vars(module_at(model, parent))
        if attributes.get(name) is tensor and tensor.is_floating_point():
            attributes[name] = tensor.double()


def _ones(tensor: Tensor) -> Tensor:
    return torch.ones_like(tensor, dtype=torch.float64) if tensor.is_floating_point() else tensor
