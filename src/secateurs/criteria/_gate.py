"""Gates: factors of one on what passes by, whose gradient is activation times gradient."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from secateurs._errors import PlanError
from secateurs.criteria._blocks import blocks
from secateurs.criteria._images import Layout, means

__all__ = ["gated", "mixed"]


def mixed(got: str) -> PlanError:
    """What to say where images cannot be told apart."""
    return PlanError(
        "gates of single images",
        wanted="one activation for each image of a batch",
        got=got,
        cure="Put images along the first dim of the arguments, or take at='weights', which sums over them.",
    )


def gated(values: Tensor, gate: Tensor, dim: int, layout: Callable[[], Layout], *, copy: bool) -> Tensor:
    """The values times a gate that is all ones.

    Args:
        values: any shape.
        gate: [images, channels]; its gradient is the sum, over all places of an image, of values times gradient.
        dim: of the channels, negative.
        layout: where the images are; asked when gradients come back.
        copy: needed where code may write into the result.
    """
    result: Tensor = _Gate.apply(values, gate, dim, layout, copy)
    return result


class _Gate(torch.autograd.Function):
    """Multiplies by one without doing so: a real product would take two more passes over memory in each direction."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, gate: Tensor, dim: int, layout: Callable[[], Layout], copy: bool) -> Tensor:
        ctx.save_for_backward(values)
        ctx.images, ctx.dim, ctx.layout = len(gate), dim, layout
        return values.clone() if copy else values.view_as(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None, None, None]:
        (values,) = ctx.saved_tensors
        product = _per_image(values, gradient, ctx.dim, ctx.layout(), ctx.images)
        return (gradient if ctx.needs_input_grad[0] else None), product, None, None, None


def _per_image(values: Tensor, gradient: Tensor, dim: int, layout: Layout, images: int) -> Tensor:
    """Values times gradient [images, channels], summed over all else; float32 at least.

    What is the same for any input has the same share in every image.
    """
    dtype = torch.promote_types(values.dtype, torch.float32)
    if layout.dim == 0 and len(values) == images and values.dim() + dim == 1:  # the usual case
        pairs = blocks(values, gradient)
        return torch.cat([(one.to(dtype) * other.to(dtype)).reshape(*one.shape[:2], -1).sum(2) for one, other in pairs])
    product = values.to(dtype) * gradient.to(dtype)
    if layout.dim is not None and product.shape[layout.dim] % images:
        raise mixed(f"a dim of {product.shape[layout.dim]} for {images} images")
    places = product.numel() / max(images * product.shape[dim], 1)
    return means(product, dim, layout, images) * places
