"""What criteria that look at data share: reading batches, and leaving the model as it was."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from secateurs._errors import PlanError
from secateurs._sharding import counted
from secateurs.criteria._criterion import Loss

__all__ = ["Batch", "read_batches", "required_loss", "undisturbed"]

_TARGETS = ("labels", "label", "targets", "target")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One call of the model: its arguments, and what its outputs are compared with."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    targets: Any = None

    def outputs(self, model: nn.Module) -> Any:
        """Call the model."""
        return model(*self.args, **self.kwargs)


def read_batches(batches: Iterable[Any] | None, who: str, device: torch.device) -> Iterator[Batch]:
    """The batches of a loader, on the device: (inputs, targets), a dict with labels, or inputs alone.

    Of a source that gives this rank its part of each batch, without what another rank counts.

    Raises:
        PlanError: none were given, or there is none in them.
    """
    cure = "Give batches=, any iterable of (inputs, targets); a list or a loader, not a generator that is used up."
    if batches is None:
        raise PlanError(who, wanted="batches to look at", got="none", cure=cure)
    found = False
    shard = getattr(batches, "shard", (0, 1))
    for step, batch in enumerate(batches):
        found = True
        if shard[1] > 1 and not counted(batches.global_size(step), shard):  # type: ignore[attr-defined]
            continue
        yield _parsed(_placed(batch, device))
    if not found:
        raise PlanError(who, wanted="at least one batch", got="an iterable without any", cure=cure)


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


def _parsed(batch: Any) -> Batch:
    if isinstance(batch, Mapping):
        targets = next((batch[name] for name in _TARGETS if name in batch), None)
        return Batch(kwargs={name: value for name, value in batch.items() if name not in _TARGETS}, targets=targets)
    if isinstance(batch, tuple | list) and len(batch) == 2:
        return Batch(args=(batch[0],), targets=batch[1])
    return Batch(args=tuple(batch) if isinstance(batch, tuple | list) else (batch,))


def _placed(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, Mapping):
        return {name: _placed(part, device) for name, part in value.items()}
    if isinstance(value, tuple | list):
        return tuple(_placed(part, device) for part in value)
    return value
