"""How a user says what a model is called with."""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from secateurs._errors import GraphError

__all__ = ["Arguments", "arguments_of"]

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
_CURE = "Pass args=(x, ...) and kwargs={'name': x, ...} as in model(*args, **kwargs)."


def arguments_of(model: nn.Module, args: Any, kwargs: Any = None, *, where: str = "trace") -> Arguments:
    """Positional and keyword arguments, from any way of giving them.

    A tensor, named tuple or dataclass is one argument; a mapping (also a batch of a tokenizer) gives keywords, and so
    does a single one in `args` whose keys are all names of the forward's parameters.

    Raises:
        GraphError: something else.
    """
    keywords = _keywords(kwargs, where)
    if isinstance(args, Mapping):
        return _merged(_keywords(args, where), keywords, where)
    if _is_one(args):
        return (args,), keywords
    if not isinstance(args, (tuple, list)):
        wanted = "a tensor, a tuple of arguments or a mapping"
        raise GraphError(f"{where} args", wanted=wanted, got=_shown(args), cure=_CURE)
    if len(args) == 1 and isinstance(args[0], Mapping) and _names_parameters(model, args[0]):
        return _merged(_keywords(args[0], where), keywords, where)
    return tuple(args), keywords


def _is_one(value: Any) -> bool:
    named = isinstance(value, tuple) and hasattr(value, "_fields")
    return isinstance(value, Tensor) or named or (dataclasses.is_dataclass(value) and not isinstance(value, type))


def _keywords(kwargs: Any, where: str) -> dict[str, Any]:
    if kwargs is None:
        return {}
    if not isinstance(kwargs, Mapping):
        raise GraphError(f"{where} kwargs", wanted="a mapping of names to arguments", got=_shown(kwargs), cure=_CURE)
    odd = [key for key in kwargs if not isinstance(key, str)]
    if odd:
        cure = f"A mapping that is itself the argument goes into a tuple: args=({type(kwargs).__name__}(...),)."
        raise GraphError(f"{where} kwargs", wanted="names as keys", got=repr(odd[0]), cure=cure)
    return dict(kwargs)


def _merged(first: dict[str, Any], second: dict[str, Any], where: str) -> Arguments:
    twice = sorted(first.keys() & second.keys())
    if twice:
        cure = "Give every argument once."
        raise GraphError(f"{where} kwargs", wanted="other names than those in args", got=repr(twice), cure=cure)
    return (), {**first, **second}


def _names_parameters(model: nn.Module, batch: Mapping[Any, Any]) -> bool:
    try:
        parameters = inspect.signature(model.forward).parameters
    except (TypeError, ValueError):
        return False
    return bool(batch) and all(key in parameters for key in batch)


def _shown(value: Any) -> str:
    return f"{value!r:.60} ({type(value).__name__})"
