"""Positions picked by number: the numbers are a list of integers that the model holds, or the dim stays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from secateurs.graph._call import Call
from secateurs.graph._labels import IntArray, Label
from secateurs.graph.rules._registry import elementwise, register, unknown
from secateurs.graph.sizes._provenance import user_frame

__all__ = ["known_values", "picked"]

_MASKS = (torch.bool, torch.uint8)


def known_values(call: Call, index: Tensor, dim: int) -> IntArray | None:
    """The values [n] of an index along its dim, if it is a list of integers of the model; else `None`.

    A trace knows them from the model, for its tensors are empty; a masked run reads them.
    """
    if not call.tracing:
        if not index.numel():  # nothing was found to write or to read
            return np.zeros(index.shape[dim], dtype=np.int64)
        values: IntArray = index.movedim(dim, 0).reshape(index.shape[dim], -1)[:, 0].cpu().long().numpy()
        return values
    info = call.mode.info(index)
    integers = call.mode.values.get(info.origin or "")
    label = info.labels[dim]
    if integers is None or label is None or len(label) != len(integers.label) or (label != integers.label).any():
        return None
    return integers.values if integers.values.min() >= 0 else None


def picked(call: Call, label: Label | None, index: Tensor, dim: int) -> Label | None:
    """The label of positions of `label` picked by an index that lies along its dim `dim`.

    An entry of the index goes with the position that it names; what is left is renumbered.
    """
    own, values = call.labels(index)[dim], known_values(call, index, dim)
    if label is None or values is None:
        refuse(call, label, own)
        return None
    taken = label[values]
    call.unify(own, taken)
    note(call, index, label)
    return taken


def note(call: Call, index: Tensor, counted: Label) -> None:
    """The values of the index count the positions of a label."""
    path = call.mode.info(index).origin
    if path is not None:
        call.index(path, counted)


def refuse(call: Call, *labels: Label | None) -> None:
    """Positions whose numbers are made while the model runs, or written in its code, stay."""
    for label in labels:
        if label is not None and call.tracing:
            call.fix(label, f"indexed at {user_frame()} by numbers that are no list of integers of the model")


@register("remainder")
def remainder(call: Call) -> None:
    """Indices by the size of the dim that they point into stay what they are; other numbers are computed with."""
    data, size = call.args[:2]
    values = call.mode.values.get(call.mode.info(data).origin or "") if isinstance(data, Tensor) else None
    if values is None or isinstance(size, Tensor) or not 0 <= values.values.min() <= values.values.max() < size:
        elementwise(call)
    else:
        call.assign_view(call.labels(data))


@register("index", "_unsafe_index")
def index(call: Call) -> None:
    """x[:, i, j]: dims without an index pass."""
    data, given = call.args[:2]
    labels = call.labels(data)
    if any(one is not None and one.dtype in _MASKS for one in given):
        call.assign(_masked_by(call, labels, given) or [None for _ in call.out.shape])
        return
    dims = [dim for dim, one in enumerate(given) if one is not None]
    own = _index_labels(call, [labels[dim] for dim in dims], [given[dim] for dim in dims])
    rest = [label for dim, label in enumerate(labels) if dim not in dims]
    adjacent = dims[-1] - dims[0] == len(dims) - 1
    place = dims[0] if adjacent else 0
    call.assign([*rest[:place], *own, *rest[place:]])


def _masked_by(call: Call, labels: Sequence[Label | None], given: Sequence[Tensor | None]) -> list[Label | None]:
    """Labels of what one mask picks: the dims that it covers become one and stay; empty for other indices."""
    first = next(dim for dim, one in enumerate(given) if one is not None)
    mask, others = given[first], given[first + 1 :]
    if mask is None or mask.dtype not in _MASKS or any(one is not None for one in others):
        refuse(call, *labels, *[label for one in given for label in call.labels(one)])
        return []
    last = first + mask.dim()
    refuse(call, *labels[first:last], *call.labels(mask))
    return [*labels[:first], None, *labels[last:]]


def _index_labels(call: Call, labels: Sequence[Label | None], given: Sequence[Tensor]) -> list[Label | None]:
    """Labels of the dims that indices bring in."""
    shape = torch.broadcast_shapes(*[one.shape for one in given])
    result: list[Label | None] = [None for _ in shape]
    wide = [dim for dim, size in enumerate(shape) if size > 1]
    if len(given) == 1 and len(wide) == 1:
        result[wide[0]] = picked(call, labels[0], given[0], wide[0])
        return result
    refuse(call, *labels, *[label for one in given for label in call.labels(one)])
    return result


@register("index_select")
def index_select(call: Call) -> None:
    """Positions of one dim, by a list."""
    data, dim, given = call.args[:3]
    labels = list(call.labels(data))
    labels[dim] = picked(call, labels[dim], given, 0) if given.dim() == 1 else None
    call.assign(labels)


@register("gather")
def gather(call: Call) -> None:
    """An index of as many dims as the data: along the others, the same positions are read."""
    data, dim, given = call.args[:3]
    labels = _beside(call, data, given, dim)
    labels[dim] = picked(call, call.labels(data)[dim], given, dim)
    call.assign(labels)


def _beside(call: Call, data: Tensor, other: Tensor, dim: int) -> list[Label | None]:
    """Labels of the dims other than `dim`, at which two tensors meet position by position."""
    labels: list[Label | None] = []
    for place, (own, given) in enumerate(zip(call.labels(data), call.labels(other), strict=True)):
        if place != dim % data.dim():
            if data.shape[place] == other.shape[place]:
                call.unify(own, given)
            else:
                refuse(call, own, given)
        labels.append(own)
    return labels


# ---------------------------------------------------------------------- writing


@register("index_copy")
def index_copy(call: Call) -> None:
    """Position i of the source is written to the place that the index names."""
    data, dim, given, source = call.args[:4]
    labels = _beside(call, data, source, dim)
    write = written(call, data, dim, (given, 0), source)
    if (stays := write.stays) is not None:
        call.put(call.func(data, dim, given[stays], source.index_select(dim, stays)))
    labels[dim] = write.label
    call.assign(labels)


@register("index_add")
def index_add(call: Call) -> None:
    """The same with a sum: what is gone adds nothing."""
    data, dim, given, source = call.args[:4]
    labels = _beside(call, data, source, dim)
    write = written(call, data, dim, (given, 0), source, adds=True)
    if (stays := write.stays) is not None:
        call.put(call.func(data, dim, given[stays], source.index_select(dim, stays), **call.kwargs))
    labels[dim] = write.label
    call.assign(labels)


@register("scatter", "scatter_add")
def scatter(call: Call) -> None:
    """An index of as many dims as the source."""
    data, dim, given, source = call.args[:4]
    if not isinstance(source, Tensor) and "reduce" not in call.kwargs:
        labels = _beside(call, data, given, dim)
        refuse(call, labels[dim], call.labels(given)[dim])
        call.assign(labels)
        return
    if not isinstance(source, Tensor) or "reduce" in call.kwargs or source.shape != given.shape:
        unknown(call)
        return
    labels = _beside(call, data, source, dim)
    _beside(call, given, source, dim)
    write = written(call, data, dim, (given, dim), source, adds="add" in call.name)
    if (stays := write.stays) is not None:
        call.put(call.func(data, dim, *[one.index_select(dim, stays) for one in (given, source)]))
    labels[dim] = write.label
    call.assign(labels)


@register("index_fill")
def index_fill(call: Call) -> None:
    """One value is written to the places that the index names."""
    data, dim, given = call.args[:3]
    labels = call.labels(data)
    if given.dim() == 1:
        picked(call, labels[dim], given, 0)
    else:
        refuse(call, labels[dim])
    call.assign(labels)


@register("index_put", "_unsafe_index_put", "_index_put_impl")
def index_put(call: Call) -> None:
    """x[:, i] = y, one list of places and a source with a position for each; or a mask."""
    data, given, source = call.args[:3]
    dims = [dim for dim, one in enumerate(given) if one is not None]
    dim = dims[0]
    if len(dims) == 1 and given[dim].dtype in _MASKS:
        _put_by_mask(call, data, given, source)
        return
    if len(dims) > 1 or given[dim].dim() != 1 or source.dim() != data.dim() or given[dim].dtype in _MASKS:
        unknown(call)
        call.assign([None for _ in data.shape])
        return
    labels = _beside(call, data, source, dim)
    write = written(call, data, dim, (given[dim], 0), source, adds=bool(call.argument(3, "accumulate", False)))
    if (stays := write.stays) is not None:
        places = [*given[:dim], given[dim][stays]]
        call.put(call.func(data, places, source.index_select(dim, stays), *call.args[3:]))
    labels[dim] = write.label
    call.assign(labels)


def _put_by_mask(call: Call, data: Tensor, given: Sequence[Tensor | None], source: Tensor) -> None:
    """The source is broadcast to what the mask picks."""
    picks = _masked_by(call, call.labels(data), given)
    for label, own, size in zip(reversed(picks), reversed(call.labels(source)), reversed(source.shape), strict=False):
        if size != 1:
            call.unify(label, own)
    call.assign(call.labels(data))


@dataclass(frozen=True, kw_only=True)
class _Write:
    """What a write comes to.

    Attributes:
        stays: the entries of the index that a masked run may carry out, if not all.
        label: of the dim written to, afterwards.
    """

    stays: Tensor | None
    label: Label | None


def written(
    call: Call, data: Tensor, dim: int, given: tuple[Tensor, int], source: Tensor, *, adds: bool = False
) -> _Write:
    """Tie source, index and target of a write.

    A source position goes when the place that it is written to goes, or alone: the place then stays as it was. So
    its label is a product of a unit of its own and the place's label.

    Args:
        call: the call.
        data: written to.
        dim: of `data` and `source`.
        given: the index, and the dim that it lies along.
        source: what is written.
        adds: several positions may go to one place.
    """
    alone = call.mode.fresh(source.shape[dim])
    target, own, label = call.labels(data)[dim], call.labels(given[0])[given[1]], call.labels(source)[dim]
    values = known_values(call, *given)
    if label is target and label is not None and values is not None and _overwrites(data, values, len(label)):
        return _rearranged(call, given[0], own, values, label)
    if target is None or values is None or (not adds and len(set(values.tolist())) < len(values)):
        refuse(call, target, own, label, alone)
        return _Write(stays=None, label=target)
    product = np.concatenate([alone, target[values]], axis=1)
    call.unify(label, product)
    call.unify(own, product)
    note(call, given[0], target)
    call.mark("branch", alone)
    if not adds and not holds_zeros(data):
        call.mark("inexact", alone, text="what it is written over shows where it is gone")
    stays = call.kept(product)
    return _Write(stays=None if stays is None else stays.to(source.device), label=target)


def _overwrites(data: Tensor, values: IntArray, size: int) -> bool:
    return holds_zeros(data) and np.array_equal(np.sort(values), np.arange(size))


def _rearranged(call: Call, index: Tensor, own: Label | None, values: IntArray, label: Label) -> _Write:
    """Everything is written to zeros that only share the source's size: each place holds what is written to it."""
    call.unify(own, label)
    placed = label[np.argsort(values)]
    note(call, index, placed)
    return _Write(stays=None, label=placed)


def holds_zeros(tensor: Tensor) -> bool:
    """Whether the tensor was made as zeros and never written to."""
    made: int | None = getattr(tensor, "_secateurs_zeros", None)
    return made is not None and made == tensor._version
