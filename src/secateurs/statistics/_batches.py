"""Reading batches of whatever form a loader gives."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from secateurs._errors import PlanError
from secateurs._sharding import counted
from secateurs.graph import map_tensors, tensors_in

__all__ = ["Batch", "first_image", "images_in", "read_batches"]

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


def images_in(batch: Batch) -> int:
    """How many images a batch has: the first dim of its first tensor."""
    first = next((tensor for tensor in tensors_in((batch.args, batch.kwargs)) if tensor.dim()), None)
    return 1 if first is None else len(first)


def first_image(batch: Batch) -> Batch:
    """The first image of a batch, as a batch of one and without target."""
    count = images_in(batch)

    def pick(tensor: Tensor) -> Tensor:
        return tensor[:1] if tensor.dim() and len(tensor) == count else tensor

    args, kwargs = map_tensors(pick, (batch.args, dict(batch.kwargs)))
    return Batch(args=args, kwargs=kwargs)


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
