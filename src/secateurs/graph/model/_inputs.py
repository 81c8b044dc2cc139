"""Example arguments as JSON: enough to trace the same call again."""

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor

from secateurs._errors import PlanError

_MOST = 2**27
"""Elements of a made-up tensor, half a gigabyte of float32: more is passed rather than made."""

__all__ = ["describe_inputs", "rebuild_inputs"]


def describe_inputs(args: tuple[Any, ...], kwargs: Mapping[str, Any], *, free_outputs: bool = False) -> dict[str, Any]:
    """Shapes, types and ranges of a call's arguments; plain values as they are, anything else by its type's name."""
    found = {"args": [_describe(arg) for arg in args], "kwargs": {name: _describe(arg) for name, arg in kwargs.items()}}
    return {**found, "free_outputs": True} if free_outputs else found


def _describe(value: Any) -> Any:
    if isinstance(value, Tensor):
        return {"tensor": list(value.shape), "dtype": str(value.dtype).removeprefix("torch."), **_range(value)}
    if isinstance(value, list) or type(value) in (tuple, torch.Size):
        return {"list": [_describe(item) for item in value], "tuple": isinstance(value, tuple)}
    if isinstance(value, Mapping):
        return {"dict": {str(key): _describe(item) for key, item in value.items()}}
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    return {"unknown": type(value).__name__}


def _range(tensor: Tensor) -> dict[str, int]:
    """Least and largest value of integers and booleans, and 1 or -1 where they ascend or descend along the last dim."""
    whole = not tensor.is_floating_point() and not tensor.is_complex() and tensor.layout == torch.strided
    if not whole or tensor.is_meta or tensor.is_quantized or not tensor.numel():
        return {}
    values = tensor.detach().to(torch.int64)
    low, high = int(values.min()), int(values.max())
    if low == high or values.dim() == 0 or values.shape[-1] < 2:
        return {"low": low, "high": high}
    steps = values.diff(dim=-1)
    return {"low": low, "high": high, "order": int((steps >= 0).all()) - int((steps <= 0).all())}


def rebuild_inputs(described: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments of the described shapes, always the same: random numbers; integers within the described range.

    Integers that ascended or descended (positions, offsets, lengths) do so again in equal steps, and where there are
    only zeros and ones (masks), the first half of every row is ones. Without a range: zeros, and ones for booleans.

    Raises:
        PlanError: the description is damaged or holds an argument that JSON cannot say.
    """
    cure = "Pass example arguments yourself."
    try:
        generator = torch.Generator().manual_seed(0)
        args = tuple(_rebuild(item, generator) for item in described["args"])
        return args, {name: _rebuild(item, generator) for name, item in described["kwargs"].items()}
    except (LookupError, TypeError, AttributeError, RuntimeError, ValueError, OverflowError) as error:
        raise PlanError("plan inputs", wanted="described arguments", got=repr(error), cure=cure) from error


def _rebuild(item: Mapping[str, Any], generator: torch.Generator) -> Any:
    if "tensor" in item:
        dtype = getattr(torch, item["dtype"])
        if not isinstance(dtype, torch.dtype) or prod(item["tensor"]) > _MOST:
            raise ValueError(f"a tensor {item['dtype']} {item['tensor']}")
        if dtype.is_floating_point or dtype.is_complex:
            return torch.randn(item["tensor"], dtype=dtype, generator=generator)
        return _whole(item, generator).to(dtype)
    if "list" in item:
        values = [_rebuild(value, generator) for value in item["list"]]
        return tuple(values) if item["tuple"] else values
    if "dict" in item:
        return {key: _rebuild(value, generator) for key, value in item["dict"].items()}
    if "unknown" in item:
        raise TypeError(f"an argument of class {item['unknown']}, which a file cannot hold")
    return item["value"]


def _whole(item: Mapping[str, Any], generator: torch.Generator) -> Tensor:
    shape = [int(size) for size in item["tensor"]]
    if "low" not in item:
        return torch.full(shape, int(item["dtype"] == "bool"))
    low, high, order = int(item["low"]), int(item["high"]), int(item.get("order", 0))
    if order == 0 and (low, high) == (0, 1) and shape:
        order = -1
    if order == 0:
        return torch.randint(low, high + 1, shape, generator=generator)
    ends = (low, high) if order > 0 else (high, low)
    return torch.linspace(*ends, shape[-1], dtype=torch.float64).round().to(torch.int64).expand(shape).clone()
