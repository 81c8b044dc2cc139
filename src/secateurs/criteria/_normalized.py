"""Scores that compare across axes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, final, get_args

import torch
from torch import Tensor

from secateurs._errors import ConfigError
from secateurs.criteria._combination import Combination, made
from secateurs.criteria._criterion import Criterion
from secateurs.criteria._registry import register
from secateurs.graph import Graph

__all__ = ["By", "Normalized", "check_by", "normalized"]

By: TypeAlias = Literal["sum", "mean", "max", "norm", "standardize"]


@final
@register("normalized")
@dataclass(frozen=True, kw_only=True)
class Normalized(Combination):
    """The scores of another criterion, made comparable within each axis: divided by the sum, mean, maximum or 2-norm of
    the axis's |scores|, or standardised to mean 0 and standard deviation 1. An axis of zeros (or of equals, to be
    standardised) gets zeros. Within an axis the order stays.

    Source: Molchanov et al., Pruning Convolutional Neural Networks for Resource Efficient Inference, 2017 ("norm").

    Args:
        criterion: an object, a name, or `{name: ..., options: {...}}`.
        by: what makes scores comparable.

    Raises:
        ConfigError: an option that there is not.
    """

    criterion: Criterion
    by: By = "mean"

    def __post_init__(self) -> None:
        object.__setattr__(self, "criterion", made(self.criterion, "criterion 'normalized' criterion"))
        check_by(self.by, "criterion 'normalized' by")

    @property
    def parts(self) -> Sequence[Criterion]:
        """The one."""
        return (self.criterion,)

    def combined(self, graph: Graph, scores: Sequence[Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
        """See the class."""
        del graph
        return {name: normalized(values, self.by) for name, values in scores[0].items()}


def check_by(by: object, where: str) -> None:
    """Refuse what is no way to normalise."""
    if by not in get_args(By):
        wanted = "one of " + ", ".join(get_args(By))
        raise ConfigError(where, wanted=wanted, got=repr(by), cure="Take one of these.")


def normalized(values: Tensor, by: By) -> Tensor:
    """Of one axis."""
    if by == "standardize":
        values, divisor = values - values.mean(), values.std(correction=0)
    else:
        sizes = values.abs()
        divisor = {"sum": sizes.sum(), "mean": sizes.mean(), "max": sizes.amax(), "norm": sizes.norm()}[by]
    return values / divisor if bool(divisor > torch.finfo(values.dtype).tiny) else torch.zeros_like(values)
