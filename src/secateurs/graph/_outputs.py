"""The tensors in what a model returns."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

__all__ = ["tensors_in"]


def tensors_in(output: Any) -> Iterator[Tensor]:
    """All tensors in tuples, lists, dicts, dataclasses and other objects, each object visited once."""
    yield from _walk(output, set())


def _walk(value: Any, seen: set[int]) -> Iterator[Tensor]:
    for leaf in tree_leaves(value):
        if isinstance(leaf, Tensor):
            yield leaf
        elif hasattr(leaf, "__dict__") and not isinstance(leaf, (nn.Module, type)) and id(leaf) not in seen:
            seen.add(id(leaf))
            yield from _walk(list(vars(leaf).values()), seen)
