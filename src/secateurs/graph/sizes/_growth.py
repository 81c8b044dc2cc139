"""Functions that make dims: new tensors of given sizes, repetitions, broadcasts, pads."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from secateurs.graph.sizes._provenance import Tagged, TensorSize, user_frame
from secateurs.graph.sizes._scopes import Handler, bound, flat, named, scoped

if TYPE_CHECKING:  # the mode holds the table of handlers
    from secateurs.graph.sizes._mode import SizeMode

__all__ = ["GROWTH"]

Values = dict[str, Any]


def _asked(sizes: Sequence[Any], what: str) -> list[tuple[Any, str]]:
    """Where each size comes from, `None` for a literal, and the place in the code that asks for it."""
    where = f"{user_frame()} ({what})"
    return [(size.expression if type(size) is Tagged else None, where) for size in sizes]


def _factory(first: int, last: int | None = None) -> Handler:
    """Tensors of one value: their sizes are arguments `first` to `last`."""

    def handler(mode: "SizeMode", func: Any, args: tuple[Any, ...], kwargs: Values) -> Any:
        given = args[first:last] or [kwargs[name] for name in ("size",) if name in kwargs]
        return scoped(mode, {"sizes": _asked(flat(given), func.__name__)}, partial(func, *args, **kwargs))

    return handler


def _repeat(mode: "SizeMode", func: Any, args: tuple[Any, ...], kwargs: Values) -> Any:
    """How often each dim is repeated; dims in front may be left out of `tile`."""
    given = flat(args[1:] or [kwargs[name] for name in ("repeats", "dims") if name in kwargs])
    times = [*[1 for _ in range(args[0].dim() - len(given))], *given]
    return scoped(mode, {"repeats": _asked(times, func.__name__)}, partial(func, *args, **kwargs))


def _broadcast(mode: "SizeMode", func: Any, args: tuple[Any, ...], kwargs: Values) -> Any:
    """Several tensors of one shape: what is repeated in one has the size that another one gives."""
    results = func(*args, **kwargs)
    why = f"broadcast to one shape at {user_frame()}"
    labels = [mode.labels(result) for result in results]
    for other in labels[1:]:
        for own, label in zip(labels[0], other, strict=True):
            mode.mode.algebra.unify(own, label, why)
    return results


def _pad(mode: "SizeMode", func: Any, args: tuple[Any, ...], kwargs: Values) -> Any:
    """Constant pads ask for amounts; circular ones make a new tensor, whose other dims are those of the data."""
    given = bound(("input", "pad", "mode"), args, kwargs)
    data, amounts = given["input"], given["pad"]
    call = partial(func, *args, **kwargs)
    if given.get("mode") != "circular":
        return named(mode, {f"pad[{i}]": amount for i, amount in enumerate(amounts)}, call)
    untouched = data.dim() - len(amounts) // 2
    known = zip(mode.labels(data)[:untouched], data.shape, strict=False)
    sizes = [None if label is None else (TensorSize(label, int(size)), "") for label, size in known]
    return scoped(mode, {"sizes": [*sizes, *[None for _ in range(data.dim() - untouched)]]}, call)


def _affine_grid(mode: "SizeMode", func: Any, args: tuple[Any, ...], kwargs: Values) -> Any:
    """Takes the size of a whole image, and makes a grid that the channels are not in."""
    given = bound(("theta", "size", "align_corners"), args, kwargs)
    for place, size in enumerate(given["size"]):
        if place != 1 and isinstance(size, Tagged):
            mode.keep(size.expression)
    return func(given.pop("theta"), [int(size) for size in given.pop("size")], **given)


GROWTH: dict[Any, Handler] = {
    **dict.fromkeys((torch.zeros, torch.ones, torch.empty), _factory(0)),
    **dict.fromkeys((Tensor.new_zeros, Tensor.new_ones, Tensor.new_empty), _factory(1)),
    torch.full: _factory(0, 1),
    Tensor.new_full: _factory(1, 2),
    **dict.fromkeys((Tensor.repeat, Tensor.tile, torch.tile), _repeat),
    **dict.fromkeys((torch.broadcast_tensors, torch.functional.broadcast_tensors), _broadcast),
    **dict.fromkeys((torch.meshgrid, torch.functional.meshgrid), _broadcast),
    F.pad: _pad,
    F.affine_grid: _affine_grid,
}
"""Function to handler."""
