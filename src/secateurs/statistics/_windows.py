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


def pieces_of(inputs: Tensor, outputs: Tensor, window: Window) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of rows, in pieces: patches [N, groups, channels of a group x offsets] and outputs [N, groups, outputs].

    The last dim of the patches is laid out like a row of the weight.

    Args:
        inputs: [B, C, *places], or [..., C] of a linear map.
        outputs: the same with the outputs' dims.
    """
    if not window.kernel:
        yield inputs.reshape(-1, 1, inputs.shape[-1]), outputs.reshape(-1, 1, outputs.shape[-1])
        return
    size = inputs[:1].numel() * window.offsets * inputs.element_size() // max(1, math.prod(window.stride))
    images = max(1, _CHUNK_BYTES // max(1, size))
    for some, made in zip(inputs.split(images), outputs.split(images), strict=True):
        yield _patches(some, window), _grouped(made, window.groups)


def _patches(inputs: Tensor, window: Window) -> Tensor:
    """[B x places, groups, channels of a group x offsets]."""
    padded = F.pad(inputs, [side for width in reversed(window.padding) for side in (width, width)])
    shape, steps = list(padded.shape[:2]), list(padded.stride()[:2])
    reach = [d * (k - 1) + 1 for d, k in zip(window.dilation, window.kernel, strict=True)]
    places = [
        (size - r) // s + 1 for size, r, s in zip(padded.shape[2:], reach, window.stride, strict=True)
    ]
    shape += [*places, *window.kernel]
    strides = padded.stride()[2:]
    steps += [step * s for step, s in zip(strides, window.stride, strict=True)]
    steps += [step * d for step, d in zip(strides, window.dilation, strict=True)]
    found = padded.as_strided(shape, steps)
    spatial = len(window.kernel)
    order = [0, *range(2, 2 + spatial), 1, *range(2 + spatial, 2 + 2 * spatial)]
    count = shape[0] * math.prod(places)
    return found.permute(order).reshape(count, window.groups, -1)


def _grouped(outputs: Tensor, groups: int) -> Tensor:
    """[B x places, groups, outputs of a group]."""
    return outputs.movedim(1, -1).reshape(-1, groups, outputs.shape[1] // groups)
