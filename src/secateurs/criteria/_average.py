"""The average of several criteria."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from torch import Tensor

from secateurs._errors import ConfigError
from secateurs.criteria._combination import Combination, several
from secateurs.criteria._criterion import Criterion
from secateurs.criteria._normalized import By, check_by, normalized
from secateurs.criteria._registry import register
from secateurs.graph import Graph

__all__ = ["Average"]


@final
@register("average")
@dataclass(frozen=True, kw_only=True)
class Average(Combination):
    """The weighted mean of the scores of several criteria, each made comparable within each axis first.

    All that look at data share a pass where they can.

    Args:
        criteria: objects, names, or `{name: ..., options: {...}}`.
        weights: one for each; equal ones by default.
        by: how scores are made comparable, as in `Normalized`; None for scores as they are, which only makes sense
            where they measure the same thing.

    Raises:
        ConfigError: no criteria, or an option that there is not.
    """

    criteria: tuple[Criterion, ...]
    weights: tuple[float, ...] | None = None
    by: By | None = "mean"

    def __post_init__(self) -> None:
        where = "criterion 'average'"
        object.__setattr__(self, "criteria", several(self.criteria, where))
        if self.by is not None:
            check_by(self.by, f"{where} by")
        if self.weights is None:
            return
        weights = tuple(self.weights)
        if len(weights) != len(self.criteria) or not all(weight >= 0 for weight in weights) or not sum(weights):
            wanted = f"{len(self.criteria)} numbers of 0 or more, one of them above 0"
            raise ConfigError(f"{where} weights", wanted=wanted, got=repr(weights), cure="Give one per criterion.")
        object.__setattr__(self, "weights", weights)

    @property
    def parts(self) -> Sequence[Criterion]:
        """All of them."""
        return self.criteria

    def combined(self, graph: Graph, scores: Sequence[Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
        """See the class."""
        weights = self.weights or (1.0,) * len(self.criteria)
        return {axis.name: self._of([part[axis.name] for part in scores], weights) for axis in graph.axes}

    def _of(self, scores: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
        parts = scores if self.by is None else [normalized(part, self.by) for part in scores]
        total = sum(weight * part for weight, part in zip(weights, parts, strict=True))
        assert isinstance(total, Tensor)
        return total / sum(weights)
