"""The least important directions of all layers go: one threshold for all."""

from collections.abc import Sequence

import numpy as np

from secateurs.eigen._tally import Candidate, IntArray, Tally
from secateurs.selection import Budget

__all__ = ["by_importance"]


def by_importance(candidates: Sequence[Candidate], tally: Tally, budget: Budget, limit: float) -> IntArray:
    """How many directions of inputs and outputs go, [layers, 2]; everything that may, where that is not enough.

    The shortest beginning of the order that meets the budget is found by bisection; then directions are given back, the
    last first, as long as it is met.
    """
    pool = _Pool(candidates, limit)
    if not budget.met(tally.figures(pool.counts(len(pool)))):
        return pool.counts(len(pool))
    low, high = 0, len(pool)  # `high` meets the budget
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if budget.met(tally.figures(pool.counts(middle))) else (middle + 1, high)
    return _given_back(pool, tally, budget, high)


class _Pool:
    """All directions that may go, in order of importance; equal ones by layer, inputs before outputs."""

    def __init__(self, candidates: Sequence[Candidate], limit: float) -> None:
        values, sides = [np.zeros(0)], [np.zeros(0, dtype=np.int64)]
        for number, candidate in enumerate(candidates):
            for side, (importance, most) in enumerate(zip(candidate.sides, candidate.most(limit), strict=True)):
                values.append(importance.sort().values[:most].numpy())
                sides.append(np.full(most, 2 * number + side))
        order = np.argsort(np.concatenate(values), kind="stable")
        self.sides: IntArray = np.concatenate(sides)[order]
        self._layers = len(candidates)

    def __len__(self) -> int:
        return len(self.sides)

    def counts(self, first: int) -> IntArray:
        """How many directions of each layer are among the first."""
        return np.bincount(self.sides[:first], minlength=2 * self._layers).reshape(-1, 2)


def _given_back(pool: _Pool, tally: Tally, budget: Budget, taken: int) -> IntArray:
    """The last of the order first, each only if those before it on its side stay gone."""
    counts, left = pool.counts(taken), pool.counts(taken)
    total = tally.figures(counts)
    for place in pool.sides[:taken][::-1].tolist():
        number, side = divmod(place, 2)
        if counts[number, side] == left[number, side]:  # nothing more important of this side is still gone
            before = counts[number].tolist()
            after = [count - (other == side) for other, count in enumerate(before)]
            trial = tally.moved(total, number, before, after)
            if budget.met(trial):
                total = trial
                counts[number, side] -= 1
        left[number, side] -= 1
    return counts
