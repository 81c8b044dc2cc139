"""Example arguments as JSON: enough to trace the same call again."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from secateurs._errors import PlanError

__all__ = ["describe_inputs", "rebuild_inputs"]


def describe_inputs(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Shapes and types of a call's arguments; plain values as they are, anything else by its type's name."""
    return {"args": [_describe(arg) for arg in args], "kwargs": {name: _describe(arg) for name, arg in kwargs.items()}}


def _describe(value: Any) -> Any:
    if isinstance(value, Tensor):
        return {"tensor": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
    if isinstance(value, (list, tuple)):
        return {"list": [_describe(item) for item in value], "tuple": isinstance(value, tuple)}
    if isinstance(value, Mapping):
        return {"dict": {str(key): _describe(item) for key, item in value.items()}}
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    return {"unknown": type(value).__name__}


def rebuild_inputs(described: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments of the described shapes: zeros for integers, ones for booleans, otherwise random, always the same.

    Raises:
        PlanError: the description is damaged or holds an argument that JSON cannot say.
    """
    try:
        generator = torch.Generator().manual_seed(0)
        args = tuple(_rebuild(item, generator) for item in described["args"])
        return args, {name: _rebuild(item, generator) for name, item in described["kwargs"].items()}
    except (KeyError, TypeError, AttributeError, RuntimeError, ValueError) as error:
        cure = "Pass example arguments yourself."
        raise PlanError("plan inputs", wanted="described arguments", got=repr(error), cure=cure) from error


def _rebuild(item: Mapping[str, Any], generator: torch.Generator) -> Any:
    if "tensor" in item:
        dtype = getattr(torch, item["dtype"])
        if dtype.is_floating_point or dtype.is_complex:
            return torch.randn(item["tensor"], dtype=dtype, generator=generator)
        return (
            torch.ones(item["tensor"], dtype=dtype) if dtype == torch.bool else torch.zeros(item["tensor"], dtype=dtype)
        )
    if "list" in item:
        values = [_rebuild(value, generator) for value in item["list"]]
        return tuple(values) if item["tuple"] else values
    if "dict" in item:
        return {key: _rebuild(value, generator) for key, value in item["dict"].items()}
    return item["value"]
