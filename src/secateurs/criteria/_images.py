"""Along which dim of an activation the images of a batch lie; found by letting some change places."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["PROBE", "Layout", "chosen", "means", "possible"]

_CHUNK = 2**18
PROBE = 3
"""Images that change places: as a number of tokens, channels or pixels less usual than 2 or 4."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the images are.

    Attributes:
        dim: counted from the front; None where the activation is the same for any input.
        outer: whether a dim that images share with something else (windows, tokens) has one image after the other.
    """

    dim: int | None
    outer: bool = True


def means(found: Tensor, dim: int, layout: Layout, rows: int, *, rectify: bool = False) -> Tensor:
    """[rows, positions of a dim]: the mean over everything but images and units.

    Args:
        found: the activation.
        dim: of the units, counted from the back.
        layout: where its images are.
        rows: images in the batch.
        rectify: take what is below 0 for 0.
    """
    own = dim + found.dim()
    if layout.dim is None:
        others = [other for other in range(found.dim()) if other != own]
        return _mean(found, others, rectify).expand(rows, -1)
    size = found.shape[layout.dim]
    if size != rows:
        sizes = (rows, size // rows) if layout.outer else (size // rows, rows)
        found = found.unflatten(layout.dim, sizes)
    images = layout.dim if size == rows or layout.outer else layout.dim + 1
    own = dim + found.dim() if own > layout.dim else own
    others = [other for other in range(found.dim()) if other not in (images, own)]
    mean = _mean(found, others, rectify)
    return mean if images < own else mean.t()


def possible(tensor: Tensor, dim: int, rows: int) -> Iterator[Layout]:
    """Where images may be by the sizes alone, for units on a dim counted from the back."""
    for other, size in enumerate(tensor.shape):
        if other != dim + tensor.dim() and size % rows == 0:
            yield Layout(dim=other)
            if size > rows:
                yield Layout(dim=other, outer=False)
    yield Layout(dim=None)


def chosen(before: Sequence[tuple[Layout, Tensor]], after: Sequence[tuple[Layout, Tensor]]) -> Layout | None:
    """Of possible layouts with their means [rows, units] the first whose rows go with the images, the last in front."""
    for (layout, first), (_, second) in zip(before, after, strict=True):
        # The same numbers are computed at another place in the batch, which kernels may do a little differently.
        tolerance = max(1e-3, 16 * torch.finfo(first.dtype).eps) * float(first.abs().max())
        moved = first if layout.dim is None else first.roll(1, 0)
        if float((moved - second).abs().max()) <= tolerance:
            return layout
    return None


def _mean(found: Tensor, dims: list[int], rectify: bool) -> Tensor:
    dtype = torch.promote_types(found.dtype, torch.float32)
    if rectify and found.device.type == "cpu" and 0 not in dims and found.numel() > _CHUNK:
        # What is rectified stays in the processor's cache until it is summed up; a whole feature map would not.
        parts = found.split(max(1, _CHUNK * len(found) // found.numel()))
        return torch.cat([_mean(part.clamp(min=0), dims, False) for part in parts])
    found = found.clamp(min=0) if rectify else found
    return found.mean(dims, dtype=dtype) if dims else found.to(dtype)
