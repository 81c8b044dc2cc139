"""The product of several criteria."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from secateurs._errors import PlanError
from secateurs.criteria._combination import Combination, several
from secateurs.criteria._criterion import Criterion
from secateurs.criteria._registry import register
from secateurs.graph import Graph

__all__ = ["Product"]


@final
@register("product")
@dataclass(frozen=True, kw_only=True)
class Product(Combination):
    """The product of the scores of several criteria, which must not be negative: low is what is low by any of them.

    Factors need not be comparable. All that look at data share a pass where they can.

    Args:
        criteria: objects, names, or `{name: ..., options: {...}}`.

    Raises:
        ConfigError: no criteria.
        PlanError: when called, a score below 0, with which a product ranks nothing.
    """

    criteria: tuple[Criterion, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "criteria", several(self.criteria, "criterion 'product'"))

    @property
    def parts(self) -> Sequence[Criterion]:
        """All of them."""
        return self.criteria

    def combined(self, graph: Graph, scores: Sequence[Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
        """See the class."""
        for part, found in zip(self.criteria, scores, strict=True):
            negative = next((name for name, values in found.items() if bool((values < 0).any())), None)
            if negative is not None:
                where = f"criterion 'product', scores[{negative!r}] of {type(part).__name__}"
                cure = "Leave that criterion out, or take an average."
                raise PlanError(where, wanted="scores of 0 or more", got=f"{float(found[negative].min())}", cure=cure)
        return {axis.name: torch.stack([part[axis.name] for part in scores]).prod(0) for axis in graph.axes}
