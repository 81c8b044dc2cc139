"""What is in the place of a layer whose directions were cut."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from secateurs.statistics import Layer

__all__ = ["Bottleneck", "Widths", "bare_bottleneck", "core_of", "ends_of", "freeze", "is_candidate", "put"]


@dataclass(frozen=True, kw_only=True)
class Widths:
    """How wide a bottleneck is inside.

    Attributes:
        into: outputs of the rotation of the inputs; None where there is none.
        core: outputs of the layer between.
        out: whether a rotation of the outputs follows; else `core` is as wide as the layer.
    """

    into: int | None
    core: int
    out: bool

    def check(self) -> None:
        """Refuse what no rotation has.

        Raises:
            ValueError: with the widths.
        """
        sizes = [self.core] if self.into is None else [self.into, self.core]
        if type(self.out) is not bool or any(type(size) is not int or size < 1 for size in sizes):
            raise ValueError(f"widths that no bottleneck has: {asdict(self)}")


@final
class Bottleneck(nn.Module):
    """A layer as a product of up to three: a rotation of the channels, the layer between, a rotation back.

    Nothing but linear maps, so that it takes what the layer took and gives what it gave.

    Attributes:
        into: 1x1 convolution or linear map without bias, or None.
        core: of the layer's own kernel, stride and padding.
        out: 1x1 convolution or linear map with the layer's bias, or None; then `core` has the bias.
    """

    def __init__(self, core: Layer, *, into: Layer | None, out: Layer | None) -> None:
        super().__init__()
        self.into, self.core, self.out = into, core, out

    def forward(self, x: Tensor) -> Tensor:
        if self.into is not None:
            x = self.into(x)
        x = self.core(x)
        return x if self.out is None else self.out(x)


def core_of(module: nn.Module) -> Layer:
    """The layer itself, or that inside of a bottleneck."""
    core = module.core if isinstance(module, Bottleneck) else module
    assert isinstance(core, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
    return core


def bare_bottleneck(module: nn.Module, widths: Widths) -> Bottleneck:
    """One that can take the place of a layer or bottleneck, with memory for its weights and no values in it."""
    core = core_of(module)
    inputs, outputs, bias = ends_of(module)
    into = None if widths.into is None else _point(core, inputs, widths.into, bias=False)
    out = _point(core, widths.core, outputs, bias=bias) if widths.out else None
    width = inputs if widths.into is None else widths.into
    return Bottleneck(_like(core, width, widths.core, bias=bias and out is None), into=into, out=out).train(
        module.training
    )


def is_candidate(module: nn.Module) -> bool:
    """Whether nothing but its own code computes: hooks see, and may change, what goes in and out."""
    parts = [module, *module.children()]
    return not any(part._forward_hooks or part._forward_pre_hooks for part in parts)


def ends_of(module: nn.Module) -> tuple[int, int, bool]:
    """Channels that come, channels that go, and whether there is a bias."""
    first = last = core_of(module)
    if isinstance(module, Bottleneck):
        first, last = module.into or first, module.out or last
    return first.weight.shape[1], last.weight.shape[0], last.bias is not None


def _point(core: Layer, inputs: int, outputs: int, *, bias: bool) -> Layer:
    """Between channels alone."""
    made = _on(core.weight)
    if isinstance(core, nn.Linear):
        return nn.Linear(inputs, outputs, bias=bias, **made)
    return type(core)(inputs, outputs, 1, bias=bias, **made)


def _like(core: Layer, inputs: int, outputs: int, *, bias: bool) -> Layer:
    """Of the same kernel, stride, padding and dilation."""
    made = _on(core.weight)
    if isinstance(core, nn.Linear):
        return nn.Linear(inputs, outputs, bias=bias, **made)
    sliding: dict[str, Any] = {
        name: getattr(core, name) for name in ("kernel_size", "stride", "padding", "dilation", "padding_mode")
    }
    return type(core)(inputs, outputs, bias=bias, **sliding, **made)


def _on(weight: Tensor) -> dict[str, Any]:
    return {"device": weight.device, "dtype": weight.dtype}


def put(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """In every place where the model has the old module."""
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child is old:
                parent._modules[name] = new


def freeze(layers: Iterable[nn.Module | None]) -> None:
    """They ask for no gradients; a bias still does."""
    for layer in layers:
        if layer is not None and isinstance(layer.weight, torch.nn.Parameter):
            layer.weight.requires_grad_(False)
