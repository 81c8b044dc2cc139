"""What criteria that look at data share: reading batches, and leaving the model as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from secateurs._errors import PlanError
from secateurs.criteria._criterion import Loss
from secateurs.statistics import Batch, read_batches

__all__ = ["Batch", "read_batches", "required_loss", "undisturbed"]


def required_loss(loss: Loss | None, who: str) -> Loss:
    """The loss, or a `PlanError` that asks for one."""
    if loss is None:
        cure = "Give loss=, for example torch.nn.functional.cross_entropy."
        raise PlanError(who, wanted="a loss of outputs and targets", got="none", cure=cure)
    return loss


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Afterwards flags, gradients, buffers and random numbers are what they were, whatever ran inside."""
    flags = {module: module.training for module in model.modules()}
    learned = {parameter: (parameter.grad, parameter.requires_grad) for parameter in model.parameters()}
    buffers = {buffer: buffer.detach().clone() for buffer in model.buffers()}
    device = next((tensor.device for tensor in (*learned, *buffers)), torch.device("cpu"))
    for parameter in learned:
        parameter.grad = None
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            for module, training in flags.items():
                module.training = training
            for parameter, (grad, required) in learned.items():
                parameter.grad = grad
                parameter.requires_grad_(required)
            with torch.no_grad():
                for buffer, values in buffers.items():
                    buffer.copy_(values)
