"""Who is looking while a model runs, for modules that leave work undone where nobody does."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

__all__ = ["Look", "look", "looking"]

Look = Literal["none", "all", "proof"]
"""Nobody; who wants to see every module run, on all images; who moreover wants every module to count in the outputs."""

_look: ContextVar[Look] = ContextVar("look", default="none")


def look() -> Look:
    """Who is looking at whatever runs here and now."""
    return _look.get()


@contextmanager
def looking(kind: Look) -> Iterator[None]:
    """Inside, models are run to be looked at; a proof stays one, whatever is called in its course."""
    token = _look.set("proof" if _look.get() == "proof" else kind)
    try:
        yield
    finally:
        _look.reset(token)
