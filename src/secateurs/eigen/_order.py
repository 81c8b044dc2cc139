"""Which directions go: as much as a budget asks for, in one of two orders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from secateurs.eigen._bottleneck import Widths
from secateurs.eigen._by_cost import by_cost
from secateurs.eigen._by_importance import by_importance
from secateurs.eigen._tally import Candidate, Tally
from secateurs.selection import Budget

__all__ = ["Kept", "choose"]


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

    @property
    def directions(self) -> int:
        """How many stay."""
        return len(self.columns) + len(self.rows)


def choose(
    candidates: Sequence[Candidate],
    remove: Mapping[str, float],
    dense: Mapping[str, int],
    *,
    order: Literal["cost", "importance"],
    limit: float,
    fold: bool,
) -> list[Kept]:
    """Remove directions until the budget is met from above.

    A layer is replaced only where that is cheaper, in the unit that `remove` names first. Where that is `units`, every
    direction costs the same, and the least important go.

    Args:
        remove: fraction of `macs`, `params`, `bytes`, or `units` (directions of these layers).
        dense: the model's own figures.
        order: by importance alone, or by importance and cost.
        limit: the largest fraction of one side of a layer that goes.

    Raises:
        BudgetError: the limits do not allow it.
    """
    unit = next(iter(remove), "macs")
    units = sum(sum(candidate.place.directions) for candidate in candidates)
    tally = Tally(candidates, {**dense, "units": units}, "macs" if unit == "units" else unit, fold=fold)
    budget = Budget(remove, tally.dense)
    counts = (by_importance if order == "importance" or unit == "units" else by_cost)(candidates, tally, budget, limit)
    least = tally.figures(counts)
    if not budget.met(least):
        raise budget.refuse(least, f"{len(candidates)} layers take part, limit={limit:g}")
    return [
        _kept(candidate, pair, tally.widths(number, pair))
        for number, (candidate, pair) in enumerate(zip(candidates, counts.tolist(), strict=True))
    ]


def _kept(candidate: Candidate, pair: Sequence[int], widths: Widths | None) -> Kept:
    gone = [0, 0] if widths is None else pair
    columns, rows = (
        tuple(sorted(importance.argsort(stable=True)[count:].tolist()))
        for importance, count in zip(candidate.sides, gone, strict=True)
    )
    return Kept(columns=columns, rows=rows, widths=widths)
