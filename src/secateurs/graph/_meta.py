"""Running operators on tensors of torch's meta device: shapes, types and strides, no contents.

A trace has meta tensors in the place of weights and arguments. What the code makes itself (`torch.arange(n)`) are
real tensors, small and with known values; where an operator mixes both, the real ones count as unknown. To the
model's code, meta tensors say that they are on the device of the tensors that they stand for.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from secateurs.graph._results import RESULTS

__all__ = ["Shadows", "common_device", "shadow"]

_META = torch.device("meta")


def common_device(tensors: Iterable[Tensor]) -> torch.device | None:
    """The device that meta tensors can stand for; `None` where plain strided tensors of one CPU are not all there is.

    Weights on the meta device go with arguments on another. Operators choose their kernels by device; on an
    accelerator those chosen for meta tensors are others.
    """
    found = set()
    for tensor in tensors:
        if type(tensor) not in (Tensor, nn.Parameter) or tensor.layout != torch.strided:
            return None
        found.add(tensor.device)
    if len(found) > 1:
        found.discard(_META)  # weights without values are wherever the arguments are
    device = found.pop() if len(found) == 1 else torch.device("cpu")
    return None if found or device.type not in ("cpu", "meta") else device


def shadow(tensor: Tensor) -> Tensor:
    """A tensor of the same shape, layout and type without contents."""
    empty = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=_META)
    # torch takes another way through a matrix product where its right side requires a gradient.
    return nn.Parameter(empty, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty


class Shadows:
    """Runs operators on meta tensors.

    Args:
        device: the one that they stand for.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def alias(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
        """The argument itself where an operator would only move it to the device on which it is said to be."""
        if func is not _TO_COPY or not args[0].is_meta or kwargs.get("device") is None:
            return None
        kept = {"dtype": args[0].dtype, "layout": torch.strided, "memory_format": torch.preserve_format}
        if any(kwargs.get(name, value) not in (None, value) for name, value in kept.items()):
            return None
        source: Tensor = args[0]
        return source

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The result of an operator: without contents where an argument has none."""
        quick = RESULTS.get(func)
        if quick is not None:
            result = quick(*args, **kwargs)
            if result is not None:
                return result
        tensors = list(_tensors((*args, *kwargs.values())))
        if not tensors and func in _FACTORIES and (kwargs.get("dtype") or torch.get_default_dtype()).is_floating_point:
            return func(*args, **{**kwargs, "device": _META})
        if not any(tensor.is_meta for tensor in tensors):
            return func(*args, **kwargs)
        if not all(tensor.is_meta for tensor in tensors):
            self._refuse_to_forget(func, args, kwargs)
            args = tuple(_without_contents(value) for value in args)
            kwargs = {name: _without_contents(value) for name, value in kwargs.items()}
        if kwargs.get("device") is not None:
            kwargs = {**kwargs, "device": _META}
        return func(*args, **kwargs)

    def _refuse_to_forget(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A tensor with contents that is written to would have contents that are wrong."""
        for place, name in _written(func):
            value = args[place] if place < len(args) else kwargs.get(name)
            if any(not tensor.is_meta for tensor in _tensors((value,))):
                raise NotImplementedError(f"{func} writes what is not known into {name}")


_FACTORIES = frozenset(
    (
        torch.ops.aten.zeros.default,
        torch.ops.aten.ones.default,
        torch.ops.aten.empty.memory_format,
        torch.ops.aten.rand.default,
        torch.ops.aten.randn.default,
    )
)
"""What code makes to write into or to add: floating ones need no contents."""
_TO_COPY = torch.ops.aten._to_copy.default


@cache
def _written(func: Any) -> tuple[tuple[int, str], ...]:
    """Place and name of the arguments that an operator writes to."""
    arguments = enumerate(func._schema.arguments)
    return tuple((i, a.name) for i, a in arguments if a.alias_info is not None and a.alias_info.is_write)


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def _without_contents(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value if value.is_meta else shadow(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_without_contents(item) for item in value)
    return value
