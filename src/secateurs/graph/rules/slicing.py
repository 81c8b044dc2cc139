"""Positions by their place: slices, parts, diagonals. What a place means depends on what lies before it."""

from collections.abc import Sequence

import numpy as np

from secateurs.graph._call import Call
from secateurs.graph._labels import Label
from secateurs.graph.rules._registry import register
from secateurs.graph.sizes._provenance import user_frame


@register("slice")
def slice_(call: Call) -> None:
    """Positions from start to end; with a step, whole blocks of so many positions go."""
    data = call.args[0]
    dim = call.argument(1, "dim", 0)
    start, end, step = (call.argument(place, name) for place, name in ((2, "start"), (3, "end"), (4, "step")))
    labels, size = list(call.labels(data)), data.shape[dim]
    label = labels[dim]
    first, last, stride = slice(start, end, step or 1).indices(size)
    if label is not None and (first, last, stride) != (0, size, 1):
        if not call.mode.sized:
            call.fix(label, f"a slice with bounds at {user_frame()}")
        _tie_blocks(call, label, stride)
        labels[dim] = label[first:last:stride]
    call.assign_view(labels)


def _tie_blocks(call: Call, label: Label, stride: int) -> None:
    """Every so many positions from the first: they are the same ones only where whole blocks are gone."""
    for offset in range(1, stride):
        behind = label[offset::stride]
        call.unify(label[::stride][: len(behind)], behind)


@register("select")
def select(call: Call) -> None:
    """One position is taken out by its number: it stays, and so do those that it is counted by."""
    data, dim, place = call.args[:3]
    labels = call.labels(data)
    _hold(call, labels[dim], int(place))
    call.assign_view([label for other, label in enumerate(labels) if other != dim % data.dim()])


def _hold(call: Call, label: Label | None, place: int) -> None:
    if label is not None:
        held = label[: place + 1] if place >= 0 else label[place:]
        call.fix(held, f"a position is selected by number, or counts one, at {user_frame()}")


@register("unbind")
def unbind(call: Call) -> None:
    """Every position of a dim becomes a tensor."""
    data = call.args[0]
    dim = call.argument(1, "dim", 0) % data.dim()
    labels = call.labels(data)
    call.fix(labels[dim], f"unbound position by position at {user_frame()}")
    rest = [label for place, label in enumerate(labels) if place != dim]
    call.assign_view(*[rest for _ in call.out])


@register("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk", "unsafe_split_with_sizes")
def split(call: Call) -> None:
    """Parts of a dim; equal parts that the code gets by dividing the size (chunk) lose the same positions."""
    data = call.args[0]
    dim = call.argument(2, "dim", 0) % data.dim()
    labels = call.labels(data)
    sizes = [part.shape[dim] for part in call.out]
    bounds = np.cumsum([0, *sizes])
    label = labels[dim]
    parts = [None if label is None else label[bounds[i] : bounds[i + 1]] for i in range(len(sizes))]
    if label is not None and len(parts) > 1:
        if "chunks" in call.mode.scopes:
            _tie(call, parts)
        elif not call.mode.sized:
            call.fix(label, f"split into sizes at {user_frame()}")
    call.assign_view(*[[*labels[:dim], part, *labels[dim + 1 :]] for part in parts])


def _tie(call: Call, parts: Sequence[Label | None]) -> None:
    """Chunks: the code divides whatever size is there into as many parts, so equal ones stay equal."""
    sizes = {0 if part is None else len(part) for part in parts}
    for part in parts[1:]:
        if len(sizes) == 1:
            call.unify(parts[0], part)
    if len(sizes) > 1:
        for part in parts:
            call.fix(part, "chunks of unequal size")


@register("select_scatter")
def select_scatter(call: Call) -> None:
    """One position is written by its number."""
    data, source, dim, place = call.args[:4]
    labels = call.labels(data)
    _hold(call, labels[dim], int(place))
    rest = [label for other, label in enumerate(labels) if other != dim % data.dim()]
    for own, given in zip(rest, call.labels(source), strict=True):
        call.unify(own, given)
    call.assign(labels)


@register("slice_scatter")
def slice_scatter(call: Call) -> None:
    """A slice is written."""
    data, source = call.args[:2]
    dim = call.argument(2, "dim", 0) % data.dim()
    start, end, step = (call.argument(place, name) for place, name in ((3, "start"), (4, "end"), (5, "step")))
    labels = call.labels(data)
    first, last, stride = slice(start, end, step or 1).indices(data.shape[dim])
    for place, (own, given) in enumerate(zip(labels, call.labels(source), strict=True)):
        if place == dim and own is not None and (first, last, stride) != (0, data.shape[dim], 1):
            call.fix(own, f"a slice is written at {user_frame()}")
            own = own[first:last:stride]
        call.unify(own, given)
    call.assign(labels)


@register("diagonal", "diagonal_copy", "linalg_diagonal")
def diagonal(call: Call) -> None:
    """Position i of one dim with position i of another: they go together."""
    data = call.args[0]
    offset = call.argument(1, "offset", 0)
    dims = [call.argument(2, "dim1", 0) % data.dim(), call.argument(3, "dim2", 1) % data.dim()]
    labels = call.labels(data)
    first, second = (labels[dim] for dim in dims)
    whole = offset == 0 and data.shape[dims[0]] == data.shape[dims[1]]
    if whole:
        call.unify(first, second)
    else:
        call.fix(first, "a diagonal beside the main one")
        call.fix(second, "a diagonal beside the main one")
    rest = [label for dim, label in enumerate(labels) if dim not in dims]
    call.assign([*rest, first if whole else None])


@register("diag_embed")
def diag_embed(call: Call) -> None:
    """The last dim becomes the diagonal of two."""
    data = call.args[0]
    offset, dims = call.argument(1, "offset", 0), (call.argument(2, "dim1", -2), call.argument(3, "dim2", -1))
    labels = call.labels(data)
    if offset == 0 and dims == (-2, -1):
        call.assign([*labels, labels[-1]])
        return
    for label in labels:
        call.fix(label, "a diagonal beside the main one")
    call.assign([None for _ in call.out.shape])


@register("triu", "tril")
def triangle(call: Call) -> None:
    """Only the order of rows and columns matters where both lose the same positions."""
    data, diagonal = call.args[0], call.argument(1, "diagonal", 0)
    labels = call.labels(data)
    ordered = diagonal in ((0, 1) if "triu" in call.name else (0, -1))
    if ordered and data.shape[-1] == data.shape[-2]:
        call.unify(labels[-2], labels[-1])
    else:
        call.fix(labels[-2], "a triangle beside the main diagonal")
        call.fix(labels[-1], "a triangle beside the main diagonal")
    call.assign(labels)
