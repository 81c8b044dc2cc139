"""How much of the gradient's flow a unit keeps up."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from secateurs import _distributed
from secateurs._errors import ConfigError, PlanError
from secateurs.criteria._criterion import Criterion, Loss
from secateurs.criteria._data import Batch, read_batches, required_loss
from secateurs.criteria._pass import device_of, images_of
from secateurs.criteria._registry import register
from secateurs.criteria._weights import WeightSums, connections, slopes
from secateurs.graph import Graph, map_tensors, untouched

__all__ = ["GraSP"]

_WHO = "criterion 'grasp'"


@final
@register("grasp")
@dataclass(frozen=True, kw_only=True)
class GraSP(Criterion):
    """By how much the gradient's flow |g|^2 falls when a unit's connections go, to first order,

        s_u = sum over weights w of u of w * (H g)_w,    g the gradient and H the Hessian of L

    where L is the mean loss over all images, with outputs divided by a temperature, and the weights of a unit are
    those, of two dims or more, that make it or read it (in an axis without such weights, all parameters). Scores have
    both signs: removing a unit below 0 makes the flow stronger. Meant for networks before training.

    H g is that of all images, so batches may be of any size if the loss is the mean over a batch. Two passes over the
    batches: one forward and backward for g, one forward, backward and backward through that for H g; what it comes to
    is in docs/results/criteria.md. Three numbers per weight as memory.

    Source: Wang et al., Picking Winning Tickets Before Training by Preserving Gradient Flow, 2020.

    Args:
        temperature: 200 in the authors' code; 1 for outputs as they are.

    Raises:
        ConfigError: a temperature of 0 or less.
        PlanError: when called, no batches or no loss; outputs that are no tensor, with a temperature.
    """

    reduces: ClassVar[bool] = True
    temperature: float = 200.0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            got, cure = repr(self.temperature), "Take 200 as the authors do, or 1."
            raise ConfigError(f"{_WHO} temperature", wanted="a number above 0", got=got, cure=cure)

    def score(self, graph: Graph, batches: Iterable[Any] | None, loss: Loss | None) -> Mapping[str, Tensor]:
        """See the class."""
        loss = required_loss(loss, _WHO)
        sums = WeightSums(graph, {axis.name: connections(graph, axis) for axis in graph.axes})
        paths = dict.fromkeys(name for name, weight in graph.model.named_parameters() if weight.dim() > 1)
        paths |= dict.fromkeys(sums.paths)
        with ExitStack() as stack:
            stack.enter_context(untouched(graph.model))
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))  # the others cannot be differentiated twice
            stack.enter_context(torch.enable_grad())
            leaves = {path: _precise(graph.tensor(path).detach()).requires_grad_() for path in paths}
            flow = _Flow(graph.model, leaves, loss, self.temperature)
            gradient = flow.mean(read_batches(batches, _WHO, device_of(graph)), None)
            products = flow.mean(read_batches(batches, _WHO, device_of(graph)), gradient)
        for path, product in zip(leaves, products, strict=True):
            sums.add(path, slopes(graph, path, product))
        return sums.per_unit()


class _Flow:
    """Means over images: of gradients, or of Hessians times a vector."""

    def __init__(self, model: nn.Module, leaves: Mapping[str, Tensor], loss: Loss, temperature: float) -> None:
        self._model, self._leaves, self._loss, self._temperature = model, [*leaves.values()], loss, temperature
        others = [*model.named_parameters(), *model.named_buffers()]
        self._tensors = {name: _precise(tensor.detach()) for name, tensor in others} | dict(leaves)

    def mean(self, batches: Iterator[Batch], vector: Sequence[Tensor] | None) -> list[Tensor]:
        """Over all images of all ranks: g, or H times the vector."""
        sums = [torch.zeros_like(leaf) for leaf in self._leaves]
        images = torch.zeros((), dtype=torch.float64)
        for batch in batches:
            found = self._gradients(self._mean_loss(batch), create_graph=vector is not None)
            if vector is not None:
                flow = torch.stack([(one * other).sum() for one, other in zip(found, vector, strict=True)])
                found = self._gradients(flow.sum(), create_graph=False)
            for total, part in zip(sums, found, strict=True):
                total.add_(part.detach(), alpha=images_of(batch))
            images += images_of(batch)
        _distributed.all_reduce([images, *sums])
        return [total / max(float(images), 1.0) for total in sums]

    def _mean_loss(self, batch: Batch) -> Tensor:
        args, kwargs = map_tensors(_precise, (batch.args, dict(batch.kwargs)))
        outputs = functional_call(self._model, self._tensors, args, kwargs)
        if self._temperature != 1:
            if not isinstance(outputs, Tensor):
                cure = "Give temperature=1, or a model that returns its outputs alone."
                raise PlanError(_WHO, wanted="outputs as one tensor", got=type(outputs).__name__, cure=cure)
            outputs = outputs / self._temperature
        return self._loss(outputs, batch.targets)

    def _gradients(self, total: Tensor, *, create_graph: bool) -> Sequence[Tensor]:
        if not total.requires_grad:
            return [torch.zeros_like(leaf) for leaf in self._leaves]
        return torch.autograd.grad(
            total, self._leaves, create_graph=create_graph, allow_unused=True, materialize_grads=True
        )


def _precise(tensor: Tensor) -> Tensor:
    """Float32 at least: second derivatives leave the range of half precision."""
    if not tensor.is_floating_point():
        return tensor
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
