"""Gates: factors of one on what passes by, whose gradient is activation times gradient."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from secateurs._errors import PlanError

__all__ = ["gated", "per_image"]


def gated(values: Tensor, gate: Tensor, dim: int, *, copy: bool) -> Tensor:
    """The values times a gate that is all ones.

    Args:
        values: any shape.
        gate: [images, channels]; its gradient is the sum, over all places of an image, of values times gradient.
        dim: of the channels, negative.
        copy: needed where code may write into the result.
    """
    result: Tensor = _Gate.apply(values, gate, dim, copy)
    return result


class _Gate(torch.autograd.Function):
    """Multiplies by one without doing so: a real product would take two more passes over memory in each direction."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, gate: Tensor, dim: int, copy: bool) -> Tensor:
        ctx.save_for_backward(values)
        ctx.images, ctx.dim = len(gate), dim
        return values.clone() if copy else values.view_as(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        (values,) = ctx.saved_tensors
        product = per_image(values, gradient, ctx.dim, ctx.images)
        return (gradient if ctx.needs_input_grad[0] else None), product, None, None


def per_image(values: Tensor, gradient: Tensor, dim: int, images: int) -> Tensor:
    """Values times gradient [images, channels], summed over all else; float32 at least.

    Images lie along the first dim, which may hold several rows of each in succession (windows), or along another one
    of their number (sequences first).

    Raises:
        PlanError: no dim that images can lie along.
    """
    dtype = torch.promote_types(values.dtype, torch.float32)
    values, gradient = values.to(dtype), gradient.to(dtype)
    place = values.dim() + dim
    if place == 1 and len(values) == images:
        return (values * gradient).flatten(2).sum(2) if values.dim() > 2 else values * gradient
    product = (values * gradient).movedim(place, -1)
    if place and product.shape[0] % images == 0:
        return product.reshape(images, -1, product.shape[-1]).sum(1)
    for other in range(1, product.dim() - 1):
        if product.shape[other] == images:
            return product.movedim(other, 0).reshape(images, -1, product.shape[-1]).sum(1)
    raise PlanError(
        "gates of single images",
        wanted=f"a tensor with a dim of {images} images, or a multiple of it in front",
        got=f"one of shape {tuple(values.shape)}",
        cure="Take at='weights', which looks at sums over images alone.",
    )
