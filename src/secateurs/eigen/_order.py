"""Which directions go: one order over all layers, and as much of it as a budget asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from secateurs.eigen._bottleneck import Widths
from secateurs.eigen._forms import Place, forms
from secateurs.selection import Budget

__all__ = ["Candidate", "Kept", "choose"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """A layer whose directions may go.

    Attributes:
        path: of the layer.
        place: what its cost depends on.
        columns, rows: importance of directions of inputs and outputs.
    """

    path: str
    place: Place
    columns: Tensor
    rows: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Kept:
    """What is left of a layer.

    Attributes:
        columns, rows: the directions that stay, ascending.
        widths: the form it gets; None where it stays as it is, since nothing is cheaper.
    """

    columns: tuple[int, ...]
    rows: tuple[int, ...]
    widths: Widths | None


def choose(
    candidates: Sequence[Candidate], remove: Mapping[str, float], dense: Mapping[str, int], *, limit: float, fold: bool
) -> list[Kept]:
    """Remove the least important directions of all layers, until the budget is met from above.

    The shortest beginning of the order that meets it is found by bisection; then directions are given back, the last
    first, as long as it is met. A layer is replaced only where that is cheaper, in the unit that `remove` names first.

    Args:
        remove: fraction of `macs`, `params`, `bytes`, or `units` (directions of these layers).
        dense: the model's own figures.
        limit: the largest fraction of one side of a layer that goes.

    Raises:
        BudgetError: the limits do not allow it.
    """
    pool = _Pool(candidates, limit)
    unit = next(iter(remove), "macs")
    tally = _Tally(candidates, {**dense, "units": pool.units}, "macs" if unit == "units" else unit, fold=fold)
    budget = Budget(remove, tally.dense)
    if not budget.met(tally.figures(pool.counts(len(pool)))):
        least = tally.figures(pool.counts(len(pool)))
        raise budget.refuse(least, f"{len(candidates)} layers take part, limit={limit:g}")
    low, high = 0, len(pool)  # `high` meets the budget
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if budget.met(tally.figures(pool.counts(middle))) else (middle + 1, high)
    counts = pool.counts(high)
    _give_back(pool, tally, budget, counts, high)
    return [_kept(candidate, pair, tally) for candidate, pair in zip(candidates, counts.tolist(), strict=True)]


class _Pool:
    """All directions that may go, in order of importance; equal ones by layer, inputs before outputs."""

    def __init__(self, candidates: Sequence[Candidate], limit: float) -> None:
        values, sides = [np.zeros(0)], [np.zeros(0, dtype=np.int64)]
        for number, candidate in enumerate(candidates):
            for side, importance in enumerate((candidate.columns, candidate.rows)):
                most = min(int(limit * len(importance)), len(importance) - 1)
                values.append(importance.cpu().double().sort().values[:most].numpy())
                sides.append(np.full(most, 2 * number + side))
        order = np.argsort(np.concatenate(values), kind="stable")
        self.sides: IntArray = np.concatenate(sides)[order]
        self.units = sum(len(candidate.columns) + len(candidate.rows) for candidate in candidates)
        self._layers = len(candidates)

    def __len__(self) -> int:
        return len(self.sides)

    def counts(self, first: int) -> IntArray:
        """How many inputs' and outputs' directions of each layer, [layers, 2], are among the first."""
        return np.bincount(self.sides[:first], minlength=2 * self._layers).reshape(-1, 2)


class _Tally:
    """The model's figures."""

    def __init__(self, candidates: Sequence[Candidate], dense: Mapping[str, int], unit: str, *, fold: bool) -> None:
        self._candidates, self.dense, self._unit, self._fold = candidates, dense, unit, fold
        self._now = [candidate.place.cost(candidate.place.now) for candidate in candidates]

    def figures(self, counts: IntArray) -> dict[str, int]:
        """Once so many directions of each layer are gone."""
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

    def widths(self, number: int, pair: Sequence[int]) -> Widths | None:
        """The cheapest form; None where that is the one it has."""
        place = self._candidates[number].place
        if not any(pair):
            return None
        columns, rows = (size - gone for size, gone in zip(place.directions, pair, strict=True))
        found = min(forms(place, columns, rows, fold=self._fold), key=lambda widths: place.cost(widths)[self._unit])
        return found if place.cost(found)[self._unit] < self._now[number][self._unit] else None

    def number(self, candidate: Candidate) -> int:
        """Of a candidate."""
        return next(number for number, other in enumerate(self._candidates) if other is candidate)


def _give_back(pool: _Pool, tally: _Tally, budget: Budget, counts: IntArray, taken: int) -> None:
    """In place: the last of the order first, each only if those before it on its side stay gone."""
    total = tally.figures(counts)
    left = pool.counts(taken)
    for place in pool.sides[:taken][::-1].tolist():
        number, side = divmod(place, 2)
        if counts[number, side] == left[number, side]:  # nothing more important of this side is still gone
            before = counts[number].tolist()
            after = [count - (other == side) for other, count in enumerate(before)]
            trial = dict(total)
            tally.change(trial, number, before, -1)
            tally.change(trial, number, after, 1)
            if budget.met(trial):
                total = trial
                counts[number, side] -= 1
        left[number, side] -= 1


def _kept(candidate: Candidate, pair: Sequence[int], tally: _Tally) -> Kept:
    widths = tally.widths(tally.number(candidate), pair)
    gone = [0, 0] if widths is None else pair
    columns, rows = (
        tuple(sorted(importance.cpu().double().argsort(stable=True)[count:].tolist()))
        for importance, count in zip((candidate.columns, candidate.rows), gone, strict=True)
    )
    return Kept(columns=columns, rows=rows, widths=widths)
