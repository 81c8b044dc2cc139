"""From directions that are left to the layers of a bottleneck."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from secateurs.eigen._bottleneck import Bottleneck, Widths, bare_bottleneck, core_of
from secateurs.eigen._directions import Directions
from secateurs.eigen._tucker import tucker

__all__ = ["Pieces", "bottleneck", "pieces"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pieces:
    """What is left of a layer's weight: left x core x right'.

    Attributes:
        left: [o, r].
        core: [r, c, K].
        right: [i, c], or [i * offsets, c] where inputs are patches; then K is 1.
    """

    left: Tensor
    core: Tensor
    right: Tensor

    @property
    def weight(self) -> Tensor:
        """[o, i, K]: in the layer's own channels."""
        return torch.einsum("or,rck,ic->oik", self.left, self.core, self.right)


def pieces(
    directions: Directions,
    columns: tuple[int, ...],
    rows: tuple[int, ...],
    method: Literal["directions", "tucker"],
) -> Pieces:
    """Of those directions; or of as many that fit the rotated kernel best."""
    if method == "tucker":
        left, core, right = tucker(directions.weight, len(rows), len(columns))
        return Pieces(left=directions.left @ left, core=core, right=directions.right @ right)
    core = directions.weight[list(rows)][:, list(columns)]
    return Pieces(left=directions.left[:, list(rows)], core=core, right=directions.right[:, list(columns)])


@torch.no_grad()
def bottleneck(module: nn.Module, found: Pieces, widths: Widths) -> Bottleneck:
    """A bottleneck that computes what the pieces say; rotations that were there already are multiplied in."""
    core, made = core_of(module), bare_bottleneck(module, widths)
    right, left = found.right.T, found.left
    if isinstance(module, Bottleneck) and module.out is not None:
        left = _matrix(module.out) @ left
    if len(found.right) == core.weight.shape[1]:
        if isinstance(module, Bottleneck) and module.into is not None:
            right = right @ _matrix(module.into)
        weights = _of_channels(left, found.core, right, widths)
    else:
        weights = _of_patches(left, found.core[:, :, 0], right)
        weights[0] = None if made.into is None or not isinstance(module, Bottleneck) else _matrix(module.into)
    for layer, weight in zip((made.into, made.core, made.out), weights, strict=True):
        if layer is not None:
            assert weight is not None
            layer.weight.copy_(weight.reshape(layer.weight.shape))
    _copy_bias(module, made)
    return made


def _of_channels(left: Tensor, core: Tensor, right: Tensor, widths: Widths) -> list[Tensor | None]:
    """Weights of `into`, `core`, `out`; what there is no layer for is multiplied into the core."""
    if widths.into is None:
        core = torch.einsum("rck,ci->rik", core, right)
    if not widths.out:
        core = torch.einsum("or,rck->ock", left, core)
    return [right, core, left]


def _of_patches(left: Tensor, core: Tensor, right: Tensor) -> list[Tensor | None]:
    """The smaller side is as wide as the layer between."""
    if len(core) <= core.shape[1]:
        return [None, core @ right, left]
    return [None, right, left @ core]


def _copy_bias(module: nn.Module, made: Bottleneck) -> None:
    last = module.out if isinstance(module, Bottleneck) and module.out is not None else core_of(module)
    bias = (made.core if made.out is None else made.out).bias
    if bias is not None:
        assert last.bias is not None
        bias.copy_(last.bias)
    for old, new in ((core_of(module).weight, made.core.weight), (last.bias, bias)):
        if old is not None and new is not None:
            new.requires_grad_(old.requires_grad)


def _matrix(layer: nn.Module | None) -> Tensor:
    """Of a layer between channels alone, double precision."""
    assert layer is not None
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight.double().flatten(1)
