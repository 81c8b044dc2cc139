"""As little importance as possible goes for what is saved, rotations counted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from secateurs.eigen._tally import Candidate, IntArray, Tally
from secateurs.selection import Budget

__all__ = ["by_cost"]

FloatArray = npt.NDArray[np.float64]


def by_cost(candidates: Sequence[Candidate], tally: Tally, budget: Budget, limit: float) -> IntArray:
    """How many directions of inputs and outputs go, [layers, 2]; everything that may, where that is not enough.

    Every layer has a cheapest state for each importance that it may lose; the corners of the lower convex hull are
    steps, and those of all layers are taken in the order of importance lost by cost saved. These are the best choices
    for their totals (Everett, Generalized Lagrange multiplier method, 1963). At the end layers go back, the last first,
    to the state with the least loss that still meets the budget, and then direction by direction, as directions without
    any importance may be left.
    """
    curves = [_curve(candidate, tally, number, limit) for number, candidate in enumerate(candidates)]
    counts = np.zeros((len(candidates), 2), dtype=np.int64)
    total, order = tally.figures(counts), []
    for number, state in _steps(curves):
        if budget.met(total):
            break
        total = tally.moved(total, number, counts[number].tolist(), curves[number].gone[state].tolist())
        counts[number] = curves[number].gone[state]
        order.append(number)
    if not budget.met(total):
        return counts
    last_first = list(dict.fromkeys(reversed(order)))
    for number in last_first:
        total = _back(curves[number], tally, budget, total, counts, number)
    for number in last_first:
        for side in (0, 1):
            total = _filled(tally, budget, total, counts, number, side)
    return counts


@dataclass(frozen=True, kw_only=True, eq=False)
class _Curve:
    """What a layer may lose, and what it costs then: each state costs less and loses more than the one before.

    Attributes:
        cost, loss: [n]; the first is the layer as it is.
        gone: [n, 2], directions of inputs and of outputs.
        corners: which states are on the lower convex hull.
    """

    cost: IntArray
    loss: FloatArray
    gone: IntArray
    corners: tuple[int, ...]


def _curve(candidate: Candidate, tally: Tally, number: int, limit: float) -> _Curve:
    gone_columns, gone_rows = (np.arange(most + 1) for most in candidate.most(limit))
    gone = np.stack([np.tile(gone_columns, len(gone_rows)), np.repeat(gone_rows, len(gone_columns))], 1)
    wide, high = candidate.place.directions
    cost = candidate.place.costs(wide - gone[:, 0], high - gone[:, 1], tally.unit, fold=tally.fold)
    loss = _losses(candidate)[: len(gone_rows), : len(gone_columns)].ravel()
    cost[0] = tally.now(number)  # nothing gone, and no rotation
    best = _frontier(cost, loss)
    cost, loss, gone = cost[best], loss[best], gone[best]
    return _Curve(cost=cost, loss=loss, gone=gone, corners=_corners(cost, loss))


def _losses(candidate: Candidate) -> FloatArray:
    """[o + 1, i + 1]: importance of all pairs that go with so many rows and columns, the least important ones."""
    columns, rows = (side.argsort(stable=True) for side in candidate.sides)
    ordered: FloatArray = candidate.importance[rows][:, columns].numpy()
    both = np.zeros((len(rows) + 1, len(columns) + 1))
    both[1:, 1:] = ordered.cumsum(0).cumsum(1)
    # Not all less what stays: small sums would drown in it.
    return both[:, -1:] + both[-1:] - both


def _frontier(cost: IntArray, loss: FloatArray) -> IntArray:
    """The first state, and those after it that cost less and that none is better than, the dearest first."""
    order = np.lexsort((loss, cost))
    order = order[cost[order] < cost[0]]
    before = np.minimum.accumulate(np.concatenate([[np.inf], loss[order]]))[:-1]
    return np.concatenate([[0], order[loss[order] < before][::-1]])


def _corners(cost: IntArray, loss: FloatArray) -> tuple[int, ...]:
    """Indices on the lower convex hull, the first and the last among them."""
    hull: list[int] = []
    for state in range(len(cost)):
        while len(hull) > 1 and _slope(cost, loss, hull[-2], hull[-1]) >= _slope(cost, loss, hull[-2], state):
            hull.pop()
        hull.append(state)
    return tuple(hull)


def _slope(cost: IntArray, loss: FloatArray, one: int, other: int) -> float:
    """Importance lost for each unit of cost that is saved."""
    return float((loss[other] - loss[one]) / (cost[one] - cost[other]))


def _steps(curves: Sequence[_Curve]) -> list[tuple[int, int]]:
    """Layer and next corner, in order of their slopes; within a layer these only grow."""
    found = [
        (_slope(curve.cost, curve.loss, before, after), number, after)
        for number, curve in enumerate(curves)
        for before, after in zip(curve.corners[:-1], curve.corners[1:], strict=True)
    ]
    return [(number, after) for _, number, after in sorted(found)]


def _back(
    curve: _Curve, tally: Tally, budget: Budget, total: dict[str, int], counts: IntArray, number: int
) -> dict[str, int]:
    """Counts are changed in place; the total once they are."""
    now = counts[number].tolist()
    for state in curve.gone.tolist():
        if state == now:
            break
        trial = tally.moved(total, number, now, state)
        if budget.met(trial):
            counts[number] = state
            return trial
    return total


def _filled(
    tally: Tally, budget: Budget, total: dict[str, int], counts: IntArray, number: int, side: int
) -> dict[str, int]:
    """The same, with single directions of one side."""
    while counts[number, side]:
        before = counts[number].tolist()
        after = [count - (other == side) for other, count in enumerate(before)]
        trial = tally.moved(total, number, before, after)
        if not budget.met(trial):
            break
        counts[number], total = after, trial
    return total
