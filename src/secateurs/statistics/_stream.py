"""A pass over the batches that shows the inputs of layers, and the gradients that come back to their outputs."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs._errors import PlanError
from secateurs.graph import tensors_in, untouched
from secateurs.statistics._batches import images_in, read_batches
from secateurs.statistics._layers import Layer, layers_of
from secateurs.statistics._options import FactorOptions

__all__ = ["Watch", "stream"]

_WHO = "statistics"


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What is told while the model runs.

    Attributes:
        seen: of every call of a layer, its path, the layer and the inputs.
        gradient: of every gradient of a call's outputs, of the sum over images of their losses; with the inputs of
            that call where `keeps`.
        after: of every batch, the number of images.
        keeps: whether inputs are kept until the gradient comes.
    """

    gradient: Callable[[str, Layer, Tensor | None, Tensor], object]
    after: Callable[[int], object]
    seen: Callable[[str, Layer, Tensor], object] | None = None
    keeps: bool = False


def stream(
    model: nn.Module,
    batches: Iterable[Any] | None,
    watch: Watch,
    *,
    options: FactorOptions,
    loss: Callable[[Any, Any], Tensor] | None = None,
    layers: Mapping[str, Layer] | None = None,
) -> None:
    """Run the model forward and backward to activations alone, in evaluation mode; afterwards it is as it was.

    Raises:
        PlanError: no batches, no loss where one is needed, or outputs that no labels can be drawn from.
    """
    if options.fisher == "empirical" and loss is None:
        cure = "Give loss=, for example torch.nn.functional.cross_entropy, or take the true Fisher."
        raise PlanError(_WHO, wanted="a loss of outputs and targets", got="none", cure=cure)
    device = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
    generator = torch.Generator(device=device).manual_seed(options.seed)
    # A number that gradients flow to: through it, also to outputs of layers that only data lies before.
    anchor = torch.zeros((), device=device, requires_grad=True)
    with untouched(model), _frozen(model), ExitStack() as stack, torch.enable_grad():
        for path, layer in (layers_of(model) if layers is None else layers).items():
            hook = partial(_hook, watch, path, anchor)
            stack.callback(layer.register_forward_hook(hook, prepend=True).remove)
        for batch in read_batches(batches, _WHO, device):
            outputs = batch.outputs(model)
            if options.fisher == "empirical":
                assert loss is not None
                total = loss(outputs, batch.targets) * images_in(batch)
            else:
                total = _own_loss(outputs, options.fisher, generator)
            if total.requires_grad:
                torch.autograd.grad(total, anchor)
            watch.after(images_in(batch))


def _hook(
    watch: Watch, path: str, anchor: Tensor, layer: Any, args: tuple[Tensor, ...], output: Tensor
) -> Tensor | None:
    inputs = args[0].detach()
    with torch.no_grad():
        if watch.seen is not None:
            watch.seen(path, layer, inputs)
    anchored = output if output.requires_grad else output + anchor.to(output.dtype)
    kept = inputs.clone() if watch.keeps else None  # code may write into it

    def back(gradient: Tensor) -> None:
        with torch.no_grad():
            watch.gradient(path, layer, kept, gradient)

    anchored.register_hook(back)
    return None if anchored is output else anchored


def _own_loss(outputs: Any, fisher: str, generator: torch.Generator) -> Tensor:
    """A number whose gradient by each image's logits z has as second moment that of log-likelihoods over the model's
    own labels, diag(p) - p p', p = softmax(z).

    By labels that are drawn, or by signs e_c: the gradient is sum_c e_c sqrt(p_c) (p - 1_c), in which labels of small
    chance take part in every image with a small weight, not in few with all of it.
    """
    logits = next(iter(tensors_in(outputs)), None)
    if logits is None or logits.dim() != 2 or not logits.is_floating_point():
        got = "no tensor" if logits is None else f"{logits.dtype} of shape {tuple(logits.shape)}"
        cure = "Take fisher='empirical' with a loss and targets."
        raise PlanError(_WHO, wanted="scores [images, classes] to draw labels from", got=got, cure=cure)
    logits = logits.float() if logits.dtype != torch.float64 else logits
    chances = logits.detach().softmax(1)
    if fisher == "sampled":
        labels = torch.multinomial(chances, 1, generator=generator)[:, 0]
        return F.cross_entropy(logits, labels, reduction="sum")
    signs = 2 * torch.randint(2, chances.shape, generator=generator, device=chances.device) - 1
    roots = chances.sqrt() * signs
    return (logits * (chances * roots.sum(1, keepdim=True) - roots)).sum()


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Inside, no parameter asks for a gradient."""
    before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        for parameter, _ in before:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter, required in before:
            parameter.requires_grad_(required)
