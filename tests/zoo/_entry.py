"""What a zoo model declares about itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Arguments", "Entry", "image", "tokens", "vector"]

Arguments = Callable[[int], tuple[Any, ...]]


def _no_keywords(batch: int) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One tiny model with one difficulty.

    Attributes:
        build: makes the model.
        arguments: positional arguments of a call, for a batch size.
        keywords: keyword arguments of a call, for a batch size.
        axes: axis name to size; the trace must find at least these.
        fixed: regular expressions; each must match an entry of `graph.fixed`.
        zeroing: why zeroed weights say nothing about this model; empty where the second oracle applies.
        other_batch: a batch size unlike the traced one, or `None` where the model takes only one.
    """

    build: Callable[[], nn.Module]
    arguments: Arguments
    keywords: Callable[[int], dict[str, Any]] = _no_keywords
    axes: Mapping[str, int] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    zeroing: str = ""
    other_batch: int | None = 3


def vector(width: int) -> Arguments:
    """[batch, width]."""
    return lambda batch: (_random(batch, width),)


def image(channels: int, *sides: int) -> Arguments:
    """[batch, channels, *sides]."""
    return lambda batch: (_random(batch, channels, *sides),)


def tokens(length: int, width: int) -> Arguments:
    """[batch, length, width]."""
    return lambda batch: (_random(batch, length, width),)


def _random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))
