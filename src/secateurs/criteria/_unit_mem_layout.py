"""Along which dim of an activation the images of a batch lie; found by letting some change places."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from secateurs._errors import PlanError
from secateurs.criteria._unit_mem_places import Part, Place
from secateurs.criteria._unit_mem_watch import Take

__all__ = ["PROBE", "Layout", "Layouts", "layouts_of", "means"]

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


Layouts = Mapping[Part, Layout]


def means(found: Tensor, part: Part, layout: Layout, rows: int) -> Tensor:
    """[rows, positions of the part's dim]: the mean over everything but images and units.

    Args:
        found: the activation.
        rows: images in the batch.
    """
    own = part.dim + found.dim()
    if layout.dim is None:
        others = [dim for dim in range(found.dim()) if dim != own]
        return _mean(found, others).expand(rows, -1)
    size = found.shape[layout.dim]
    if size != rows:
        sizes = (rows, size // rows) if layout.outer else (size // rows, rows)
        found = found.unflatten(layout.dim, sizes)
    images = layout.dim if size == rows or layout.outer else layout.dim + 1
    own = part.dim + found.dim() if own > layout.dim else own
    others = [dim for dim in range(found.dim()) if dim not in (images, own)]
    mean = _mean(found, others)
    return mean if images < own else mean.t()


def layouts_of(places: Sequence[Place], run: Callable[[bool, Take], None], rows: int) -> Layouts:
    """Where the images of a small batch are in each activation: where it changes places as they do.

    Args:
        places: to look at.
        run: calls the model under watch; its images one place further if the first argument says so, the last first.
        rows: images in the batch, 2 or more.

    Raises:
        PlanError: an activation that mixes images.
    """
    before: dict[Part, list[_Found]] = {}
    after: dict[Part, list[_Found]] = {}
    for rolled, found in ((False, before), (True, after)):
        run(rolled, partial(_look, found, rows))
    parts = {part: place for place in places for part in place.parts}
    return {part: _chosen(parts[part], before[part], after[part]) for part in before}


_Found = tuple[Layout, Tensor]


def _look(found: dict[Part, list[_Found]], rows: int, place: Place, tensor: Tensor) -> None:
    for part in place.parts:
        found[part] = [(layout, means(tensor, part, layout, rows)) for layout in _possible(tensor, part, rows)]


def _possible(tensor: Tensor, part: Part, rows: int) -> Iterator[Layout]:
    for dim, size in enumerate(tensor.shape):
        if dim != part.dim + tensor.dim() and size % rows == 0:
            yield Layout(dim=dim)
            if size > rows:
                yield Layout(dim=dim, outer=False)
    yield Layout(dim=None)


def _chosen(place: Place, before: Sequence[_Found], after: Sequence[_Found]) -> Layout:
    for (layout, first), (_, second) in zip(before, after, strict=True):
        # The same numbers are computed at another place in the batch, which kernels may do a little differently.
        tolerance = max(1e-3, 16 * torch.finfo(first.dtype).eps) * float(first.abs().max())
        moved = first if layout.dim is None else first.roll(1, 0)
        if float((moved - second).abs().max()) <= tolerance:
            return layout
    raise PlanError(
        f"criterion 'unitmem', {' '.join(place.source)}",
        wanted="one activation for each image of a batch",
        got="numbers that do not go with the images when these change places",
        cure="Put images along the first dim of the arguments; the model must not mix them.",
    )


def _mean(found: Tensor, dims: list[int]) -> Tensor:
    dtype = torch.promote_types(found.dtype, torch.float32)
    return found.mean(dims, dtype=dtype) if dims else found.to(dtype)
