"""The classes that a run is about."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Subset"]


@dataclass(frozen=True, kw_only=True)
class Subset:
    """Some of the classes of a data set.

    Attributes:
        name: what it was asked for by; parts are joined by a plus sign.
        ids: their numbers, ascending.
        classes: the names of all classes of the data set.
    """

    name: str
    ids: tuple[int, ...]
    classes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its classes."""
        return tuple(self.classes[number] for number in self.ids)

    @property
    def whole(self) -> bool:
        """Whether it is all classes."""
        return len(self.ids) == len(self.classes)

    def within(self, numbers: Iterable[int]) -> bool:
        """Whether all its classes are among these."""
        return set(self.ids) <= set(numbers)

    def places(self, labels: Tensor) -> Tensor:
        """The positions of labels of its classes, ascending: int64, on the labels' device."""
        return self._marks(labels)[labels].nonzero().flatten()

    def renumbered(self, labels: Tensor) -> Tensor:
        """Labels of its classes, counted among these alone."""
        return (self._marks(labels).cumsum(0) - 1)[labels]

    def _marks(self, labels: Tensor) -> Tensor:
        marks = torch.zeros(len(self.classes), dtype=torch.bool)
        marks[list(self.ids)] = True
        return marks.to(labels.device)
