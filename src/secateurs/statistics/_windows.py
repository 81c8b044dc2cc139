"""What each output of a convolution or linear map is made from, as rows of a matrix."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Window", "pieces_of"]

_CHUNK_BYTES = 2**26
"""Rows are made in pieces of about this size: they repeat every input as often as the kernel has offsets."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """How a convolution looks at its input; a linear map has no kernel.

    Attributes:
        kernel, stride, padding, dilation: one number for each spatial dim; padding is with zeros, on both sides.
        groups: outputs of a group see the inputs of that group alone.
    """

    kernel: Sequence[int] = ()
    stride: Sequence[int] = ()
    padding: Sequence[int] = ()
    dilation: Sequence[int] = ()
    groups: int = 1

    @property
    def offsets(self) -> int:
        """Places that the kernel sees."""
        return math.prod(self.kernel)


def pieces_of(
    inputs: Tensor, outputs: Tensor, window: Window, places: int | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of rows, in pieces: patches [N, groups, channels of a group x offsets] and outputs [N, groups, outputs].

    The last dim of the patches is laid out like a row of the weight.

    Args:
        inputs: [B, C, *places], or [..., C] of a linear map.
        outputs: the same with the outputs' dims.
        places: at how many places of each image to look, spread at random, other ones in each piece; all if None.
    """
    if not window.kernel:
        yield inputs.reshape(-1, 1, inputs.shape[-1]), outputs.reshape(-1, 1, outputs.shape[-1])
        return
    views = _patches(inputs, window), outputs.movedim(1, -1)
    shape = outputs.shape[2:]
    count = math.prod(shape) if places is None else min(places, math.prod(shape))
    images = max(1, _CHUNK_BYTES // max(1, count * math.prod(views[0].shape[1 + len(shape) :]) * inputs.element_size()))
    generator = torch.Generator().manual_seed(0)
    for patches, made in zip(*(view.split(images) for view in views), strict=True):
        if count < math.prod(shape):
            chosen = torch.randperm(math.prod(shape), generator=generator)[:count].to(inputs.device)
            index = (slice(None), *torch.unravel_index(chosen, shape))
            patches, made = patches[index], made[index]
        rows = len(patches) * count
        yield patches.reshape(rows, window.groups, -1), made.reshape(rows, window.groups, -1)


def _patches(inputs: Tensor, window: Window) -> Tensor:
    """[B, *places, C, *kernel], a view."""
    padded = F.pad(inputs, [side for width in reversed(window.padding) for side in (width, width)])
    reach = [d * (k - 1) + 1 for d, k in zip(window.dilation, window.kernel, strict=True)]
    places = [(size - r) // s + 1 for size, r, s in zip(padded.shape[2:], reach, window.stride, strict=True)]
    images, channel, *steps = padded.stride()
    apart = [step * stride for step, stride in zip(steps, window.stride, strict=True)]
    inside = [step * dilation for step, dilation in zip(steps, window.dilation, strict=True)]
    shape = [len(padded), *places, padded.shape[1], *window.kernel]
    return padded.as_strided(shape, [images, *apart, channel, *inside])
