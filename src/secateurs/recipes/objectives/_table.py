"""The table of objectives."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

from secateurs.data import Splits
from secateurs.recipes.objectives._base import Purpose
from secateurs.recipes.objectives._classification import ClassificationPurpose
from secateurs.recipes.objectives._elbo import ElboPurpose

__all__ = ["OBJECTIVES", "ObjectiveName", "open_objective"]

ObjectiveName: TypeAlias = Literal["classification", "elbo"]

OBJECTIVES: Mapping[ObjectiveName, Callable[[Splits], Purpose]] = MappingProxyType(
    {"classification": ClassificationPurpose, "elbo": ElboPurpose}
)
"""One row for each objective."""


def open_objective(name: ObjectiveName, splits: Splits) -> Purpose:
    """The objective of that name for these images."""
    return OBJECTIVES[name](splits)
