"""The tensors in what a model takes and returns: containers, mappings, dataclasses and other objects."""

import copy
import dataclasses
import enum
import sys
import types
from collections import UserDict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor, nn

__all__ = ["is_object", "is_plain", "map_tensors", "parts_of"]

_NO_DATA = (nn.Module, type, enum.Enum, types.ModuleType, types.FunctionType, types.MethodType, BaseException)
_FOREIGN = frozenset(sys.stdlib_module_names) | {"torch", "numpy"}
_FRIENDLY = (UserDict, types.SimpleNamespace)


def is_plain(value: Any) -> bool:
    """Whether a value is nothing but a way to hold others: a container, a mapping, a (named) tuple, a dataclass."""
    containers = (tuple, list, set, deque, Mapping)
    return isinstance(value, containers) or (dataclasses.is_dataclass(value) and not isinstance(value, type))


def is_object(value: Any) -> bool:
    """Whether a value is an object of a class of somebody's own, which may hold tensors in its attributes."""
    return hasattr(value, "__dict__") and not is_plain(value) and not isinstance(value, (Tensor, *_NO_DATA))


def parts_of(value: Any) -> Iterable[Any]:
    """What a value holds, one level down; nothing for what holds no data."""
    if isinstance(value, UserDict):
        return list(value.data.values())
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, (tuple, list, set, deque)):
        return list(value)
    if is_plain(value) or is_object(value):
        return list(_attributes(value).values())
    return ()


def _attributes(value: Any) -> dict[str, Any]:
    """Also of dataclasses with slots."""
    if hasattr(value, "__dict__"):
        return dict(vars(value))
    names = [field.name for field in dataclasses.fields(value)] if dataclasses.is_dataclass(value) else []
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


def map_tensors(function: Callable[[Tensor], Tensor], value: Any) -> Any:
    """A copy with `function` of every tensor in the place of the tensor; what holds them is copied along.

    Equal objects stay equal: a tensor or container that is met twice is made once. Modules, functions and objects of
    torch or the standard library are handed on as they are.
    """
    return _Copier(function)(value)


class _Copier:
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self._function = function
        self._made: dict[int, tuple[Any, Any]] = {}

    def __call__(self, value: Any) -> Any:
        known = self._made.get(id(value))
        if known is not None:
            return known[1]
        if isinstance(value, Tensor):
            return self._note(value, self._function(value))
        if isinstance(value, tuple):
            return self._tuple(value)
        return self._filled(value) if _can_copy(value) else value

    def _note(self, value: Any, made: Any) -> Any:
        self._made[id(value)] = (value, made)  # the value too, so that its address is not used again
        return made

    def _tuple(self, value: tuple[Any, ...]) -> Any:
        items = [self(item) for item in value]
        if all(new is old for new, old in zip(items, value, strict=True)):
            return value
        return self._note(value, type(value)(*items) if hasattr(value, "_fields") else tuple(items))

    def _filled(self, value: Any) -> Any:
        try:
            made = self._note(value, copy.copy(value))
        except (TypeError, ValueError, NotImplementedError, RuntimeError, AttributeError, copy.Error):
            return self._note(value, value)  # what cannot be copied is handed on
        if isinstance(value, list):
            made[:] = [self(item) for item in value]
        elif isinstance(value, dict):
            for key, item in value.items():
                dict.__setitem__(made, key, self(item))
        for name, item in _attributes(value).items():
            object.__setattr__(made, name, self(item))
        return made


def _can_copy(value: Any) -> bool:
    if isinstance(value, (list, dict, *_FRIENDLY)):
        return True
    own = type(value).__module__.partition(".")[0] not in _FOREIGN
    return own and (is_object(value) or dataclasses.is_dataclass(value)) and not isinstance(value, type)
