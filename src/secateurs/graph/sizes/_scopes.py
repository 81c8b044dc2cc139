"""Handlers of torch functions that take sizes: how they run a call, and tell its rules where its arguments are from."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from secateurs.graph.sizes._provenance import Tagged, user_frame

if TYPE_CHECKING:  # the mode holds the table of handlers
    from secateurs.graph.sizes._mode import SizeMode

__all__ = ["Handler", "bound", "flat", "named", "scoped", "sized"]

Handler = Callable[["SizeMode", Any, tuple[Any, ...], dict[str, Any]], Any]
"""(mode, function, args, kwargs) to the function's result."""


def flat(values: Sequence[Any]) -> list[Any]:
    """Sizes given one by one or as one sequence."""
    return list(values[0]) if len(values) == 1 and isinstance(values[0], (tuple, list)) else list(values)


def bound(names: Sequence[str], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by name."""
    return {**dict(zip(names, args, strict=False)), **kwargs}


def scoped(mode: "SizeMode", scopes: dict[str, Any], call: Callable[[], Any]) -> Any:
    """Run a call with facts that its rules look up."""
    before = mode.mode.scopes
    mode.mode.scopes = scopes
    try:
        return call()
    finally:
        mode.mode.scopes = before


def named(mode: "SizeMode", values: Mapping[str, Any], call: Callable[[], Any]) -> Any:
    """Run a call whose rule will ask where some arguments came from."""
    where = user_frame()
    scopes = {name: (value.expression if isinstance(value, Tagged) else None, where) for name, value in values.items()}
    return scoped(mode, scopes, call)


def sized(mode: "SizeMode", func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a call whose bounds the handler ties itself."""
    mode.mode.sized = True
    try:
        return partial(func, *args, **kwargs)()
    finally:
        mode.mode.sized = False
