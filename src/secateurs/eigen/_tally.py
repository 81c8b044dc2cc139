"""A model's figures once directions of its layers are gone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from secateurs.eigen._bottleneck import Widths
from secateurs.eigen._forms import Place, forms

__all__ = ["Candidate", "IntArray", "Tally"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """A layer whose directions may go.

    Attributes:
        path: of the layer.
        place: what its cost depends on.
        importance: [o, i], of pairs of directions of outputs and inputs.
    """

    path: str
    place: Place
    importance: Tensor

    @property
    def sides(self) -> tuple[Tensor, Tensor]:
        """Importance of directions of inputs, and of outputs."""
        return self.importance.sum(0), self.importance.sum(1)

    def most(self, limit: float) -> tuple[int, int]:
        """How many directions of either side may go: this fraction, and never the last."""
        columns, rows = (min(int(limit * size), size - 1) for size in self.importance.T.shape)
        return columns, rows


class Tally:
    """The model's figures.

    Args:
        dense: the model's own.
        unit: the one in which a layer's cheapest form is cheapest.
    """

    def __init__(self, candidates: Sequence[Candidate], dense: Mapping[str, int], unit: str, *, fold: bool) -> None:
        self.dense, self.unit, self.fold = dense, unit, fold
        self._candidates = candidates
        self._now = [candidate.place.cost(candidate.place.now) for candidate in candidates]

    def now(self, number: int) -> int:
        """What a layer costs as it is."""
        return self._now[number][self.unit]

    def figures(self, counts: IntArray) -> dict[str, int]:
        """Once so many directions of inputs and outputs of each layer are gone."""
        total = dict(self.dense)
        for number, pair in enumerate(counts.tolist()):
            self.change(total, number, pair, 1)
        return total

    def change(self, total: dict[str, int], number: int, pair: Sequence[int], sign: int) -> None:
        """Put what one layer saves into a total, or take it out."""
        widths = self.widths(number, pair)
        if widths is None:
            return
        small, now = self._candidates[number].place.cost(widths), self._now[number]
        for name in total.keys() & now.keys():
            total[name] -= sign * (now[name] - small[name])
        total["units"] -= sign * sum(pair)

    def moved(
        self, total: Mapping[str, int], number: int, before: Sequence[int], after: Sequence[int]
    ) -> dict[str, int]:
        """A total in which one layer loses others than before."""
        made = dict(total)
        self.change(made, number, before, -1)
        self.change(made, number, after, 1)
        return made

    def widths(self, number: int, pair: Sequence[int]) -> Widths | None:
        """The cheapest form; None where that is the one it has."""
        place = self._candidates[number].place
        if not any(pair):
            return None
        columns, rows = (size - gone for size, gone in zip(place.directions, pair, strict=True))
        found = min(forms(place, columns, rows, fold=self.fold), key=lambda widths: place.cost(widths)[self.unit])
        return found if place.cost(found)[self.unit] < self.now(number) else None
