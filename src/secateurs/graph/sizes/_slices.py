"""Functions that take positions by their place: slices, parts, rotations. How many lie before a bound is a size."""

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from secateurs.graph._labels import Label
from secateurs.graph.sizes._provenance import Tagged
from secateurs.graph.sizes._scopes import Handler, bound, flat, named, scoped, sized

if TYPE_CHECKING:  # the mode holds the table of handlers
    from secateurs.graph.sizes._mode import SizeMode

__all__ = ["SLICES"]

Values = dict[str, Any]


def _split(mode: "SizeMode", func: Any, args: tuple[Any, ...], kwargs: Values) -> Any:
    """split: sizes of the parts are given."""
    result = sized(mode, func, args, kwargs)
    sizes = args[1] if len(args) > 1 else kwargs.get("split_size_or_sections", kwargs.get("split_size"))
    dim = args[2] if len(args) > 2 else kwargs.get("dim", 0)
    given = sizes if isinstance(sizes, (tuple, list)) else [sizes] * len(result)
    for size, part in zip(given, result, strict=True):
        mode.tie(size, mode.labels(part)[dim], "split")
    return result


def _chunk(mode: "SizeMode", func: Any, args: tuple[Any, ...], kwargs: Values) -> Any:
    return scoped(mode, {"chunks": (0, "")}, partial(func, *args, **kwargs))


def _tensor_split(dim: int | None) -> Handler:
    """Into a number of parts, like chunk where they are equal; or at given places."""

    def handler(mode: "SizeMode", func: Any, args: tuple[Any, ...], kwargs: Values) -> Any:
        given = bound(("input", "indices_or_sections", "dim"), args, kwargs)
        places = given.get("indices_or_sections", given.get("sections", given.get("indices")))
        along = given.get("dim", 0) if dim is None else dim
        size = given["input"].shape[along]
        if isinstance(places, int) and int(size) % places == 0:
            return _chunk(mode, torch.chunk, (given["input"], places, along), {})
        if not isinstance(places, (tuple, list)):
            return func(*args, **kwargs)
        result = sized(mode, func, args, kwargs)
        label = mode.labels(given["input"])[along]
        for place in places:
            _tie_bound(mode, label, place)
        return result

    return handler


def _getitem(mode: "SizeMode", func: Any, args: tuple[Any, ...], kwargs: Values) -> Any:
    """Slices with bounds, read or written."""
    tensor, index = args[:2]
    if tensor.is_meta and len(args) == 3 and isinstance(args[2], (int, float)):
        # On the CPU, the number becomes a tensor first.
        args = (tensor, index, torch.tensor(args[2], dtype=tensor.dtype))
    slices = _slices(mode, tensor, index if isinstance(index, tuple) else (index,))
    if not slices:
        return func(*args, **kwargs)
    result = sized(mode, func, args, kwargs)
    labels = mode.labels(tensor)
    for dim, item in slices:
        _tie_slice(mode, labels[dim], item)
    return result


def _slices(mode: "SizeMode", tensor: Tensor, items: tuple[Any, ...]) -> list[tuple[int, slice]]:
    """Every slice and its dim; empty where something else than slices and numbers is in the index."""
    found, dim = [], 0
    consumed = sum(item is not None and item is not Ellipsis for item in items)
    for item in items:
        if item is Ellipsis:
            dim += tensor.dim() - consumed
        elif isinstance(item, slice):
            found.append((dim, item))
            dim += 1
        elif item is not None:
            if not isinstance(item, int):
                return []
            if isinstance(item, Tagged):
                mode.keep(item.expression)
            dim += 1
    return found


def _tie_slice(mode: "SizeMode", label: Label | None, item: slice) -> None:
    """With a step, whole blocks of so many positions go (the rule ties them), so only whole ones lie before."""
    if label is None:
        return
    start, step = item.start, item.step or 1
    if isinstance(step, Tagged):
        mode.keep(step.expression)
    if start is not None and start > 0 and int(step) > 1:
        start = start - start % int(step)
    for place in (start, item.stop):
        if place is not None:
            _tie_bound(mode, label, place)


def _tie_bound(mode: "SizeMode", label: Label | None, place: Any) -> None:
    """As many positions lie before the place, or from it to the end, as it says."""
    if label is None or not 0 < abs(int(place)) < len(label):
        return
    size, part = (place, label[: int(place)]) if place > 0 else (-place, label[int(place) :])
    mode.tie(size, part, "slice")


def _narrow(mode: "SizeMode", func: Any, args: tuple[Any, ...], kwargs: Values) -> Any:
    result = sized(mode, func, args, kwargs)
    given = bound(("input", "dim", "start", "length"), args, kwargs)
    dim, start, length = given["dim"], given["start"], given["length"]
    label = mode.labels(args[0])[dim]
    if label is not None and int(length) < len(label):
        mode.tie(length, label[int(start) : int(start) + int(length)], "narrow")
        if int(start) > 0:
            mode.tie(start, label[: int(start)], "narrow")
    return result


def _roll(mode: "SizeMode", func: Any, args: tuple[Any, ...], kwargs: Values) -> Any:
    shifts = flat([bound(("input", "shifts", "dims"), args, kwargs)["shifts"]])
    return named(mode, {f"shifts[{i}]": abs(shift) for i, shift in enumerate(shifts)}, partial(func, *args, **kwargs))


def _shuffle(mode: "SizeMode", func: Any, args: tuple[Any, ...], kwargs: Values) -> Any:
    groups = bound(("input", "groups"), args, kwargs)["groups"]
    return named(mode, {"groups": groups}, partial(func, *args, **kwargs))


SLICES: dict[Any, Handler] = {
    **dict.fromkeys((Tensor.split, torch.split, Tensor.split_with_sizes, torch.split_with_sizes), _split),
    **dict.fromkeys((Tensor.chunk, torch.chunk), _chunk),
    **dict.fromkeys((Tensor.tensor_split, torch.tensor_split), _tensor_split(None)),
    **dict.fromkeys((Tensor.vsplit, torch.vsplit), _tensor_split(0)),
    **dict.fromkeys((Tensor.hsplit, torch.hsplit), _tensor_split(1)),
    **dict.fromkeys((Tensor.dsplit, torch.dsplit), _tensor_split(2)),
    **dict.fromkeys((Tensor.narrow, torch.narrow), _narrow),
    **dict.fromkeys((Tensor.__getitem__, Tensor.__setitem__), _getitem),
    **dict.fromkeys((Tensor.roll, torch.roll), _roll),
    **dict.fromkeys((torch.channel_shuffle, torch.native_channel_shuffle), _shuffle),
}
"""Function to handler."""
