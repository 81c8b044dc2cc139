"""What the list knows of a model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Call", "Entry", "image", "noise"]

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and keyword arguments."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One model of a library, with random weights.

    Attributes:
        name: library/model.
        build: makes the model.
        call: makes example arguments.
    """

    name: str
    build: Callable[[], nn.Module]
    call: Callable[[], Call]

    @property
    def library(self) -> str:
        """The package it comes from."""
        return self.name.partition("/")[0]


def noise(*shape: int) -> Tensor:
    """The same random numbers for the same shape."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


def image(*shape: int) -> Callable[[], Call]:
    """A call on one image or clip [channels, *sides], in a batch of one."""
    return lambda: ((noise(1, *shape),), {})
