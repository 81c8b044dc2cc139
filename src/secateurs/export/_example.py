"""What an exported model is tried on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from secateurs._errors import ConfigError
from secateurs.graph import arguments_of, batch_in, map_tensors, rebuild_inputs, resized, tensors_in
from secateurs.surgery import plans_of

__all__ = ["Call", "example_call"]

_GIVEN = "export args"


@dataclass(frozen=True, kw_only=True)
class Call:
    """Arguments of a call, on the CPU; `batch` is the first size of its first tensor."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    batch: int

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors in it, in order."""
        return list(tensors_in((self.args, dict(self.kwargs))))

    def sized(self, batch: int) -> Self:
        """The same with another number of samples."""
        args, kwargs = resized((self.args, dict(self.kwargs)), self.batch, batch)
        return replace(self, args=args, kwargs=kwargs, batch=batch)

    def drawn(self, generator: torch.Generator) -> Self:
        """The same with random values: normal ones, and for integers and booleans some of the example's own.

        Integers are mostly indices, lengths or masks, of which others than the example's may make no sense.
        """
        args, kwargs = map_tensors(lambda tensor: _drawn(tensor, generator), (self.args, dict(self.kwargs)))
        return replace(self, args=args, kwargs=kwargs)


def example_call(model: nn.Module, args: Any, kwargs: Any, batch: int | Literal["dynamic"]) -> Call:
    """The example that was given, or else one as the model's last plan says, with the batch to export.

    Raises:
        ConfigError: none at all, without a tensor, or a batch that makes no sense.
        GraphError: arguments that make no call.
    """
    if batch != "dynamic" and (isinstance(batch, bool) or not isinstance(batch, int) or batch < 1):
        wanted = "'dynamic' or a number of samples of at least 1"
        raise ConfigError("export batch", wanted=wanted, got=repr(batch), cure="Leave it out for any number.")
    found = _arguments(model, args, kwargs)
    args, kwargs = map_tensors(lambda tensor: tensor.detach().cpu(), found)
    first = batch_in(tensors_in((args, kwargs)))
    if first is None:
        cure = "Pass an example input: args=(x,)."
        raise ConfigError(_GIVEN, wanted="at least one tensor with a batch as its first dim", got="none", cure=cure)
    call = Call(args=tuple(args), kwargs=kwargs, batch=first)
    # A batch of one is special to torch's tracer: what broadcasts looks as if it could not grow.
    return call.sized(max(2, first) if batch == "dynamic" else batch)


def _arguments(model: nn.Module, args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    given = isinstance(args, Tensor) or args or kwargs
    if given:
        return arguments_of(model, args, kwargs, where="export")
    plans = plans_of(model)
    if not plans:
        cure = "Pass an example input: args=(x,), or --input on the command line."
        raise ConfigError(_GIVEN, wanted="an example, or a model with a plan that has one", got="neither", cure=cure)
    return rebuild_inputs(plans[-1].inputs)


def _drawn(tensor: Tensor, generator: torch.Generator) -> Tensor:
    if tensor.is_floating_point() or tensor.is_complex():
        return torch.randn(tensor.shape, dtype=tensor.dtype, generator=generator)
    values = tensor.flatten()
    places = torch.randint(max(1, len(values)), (len(values),), generator=generator)
    return values[places].reshape(tensor.shape) if len(values) else tensor
