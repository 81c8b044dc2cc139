"""Which directions go, against every choice that there is."""

from itertools import product
from typing import Literal

import pytest
import torch
from torch import nn

from secateurs._errors import BudgetError
from secateurs.eigen._forms import Place, forms
from secateurs.eigen._order import Kept, choose
from secateurs.eigen._tally import Candidate, Tally

UNITS = ("macs", "params", "bytes")


def _place(inputs: int, outputs: int, *, stride: int = 1, patch: bool = False) -> Place:
    layer = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
    return Place.of(layer, 64, 64 // stride**2, patch=patch)


def _candidates(seed: int) -> list[Candidate]:
    """Three layers, one of which matters less and costs less."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for number, (inputs, outputs, stride) in enumerate([(6, 7, 1), (7, 8, 2), (8, 8, 1)]):
        falling = torch.outer(*(torch.rand(size, generator=generator).double() ** 6 for size in (outputs, inputs)))
        importance = falling * (0.1 if number == 1 else 1.0)
        place = _place(inputs, outputs, stride=stride)
        made.append(Candidate(path=str(number), place=place, importance=importance))
    return made


def _dense(candidates: list[Candidate]) -> dict[str, int]:
    return {unit: sum(one.place.cost(one.place.now)[unit] for one in candidates) for unit in UNITS}


def _lost(candidate: Candidate, columns: int, rows: int) -> float:
    """Importance that goes with so many directions of either side, summed up pair by pair."""
    by_column, by_row = (side.argsort(stable=True).tolist() for side in candidate.sides)
    left = candidate.importance[by_row[rows:]][:, by_column[columns:]]
    return float(candidate.importance.sum() - left.sum())


def _best(candidates: list[Candidate], remove: float) -> float:
    """The least importance that can go, by looking at every choice for every layer."""
    tally = Tally(candidates, {**_dense(candidates), "units": 0}, "macs", fold=True)
    wanted = (1 - remove) * tally.dense["macs"]
    states = []
    for number, one in enumerate(candidates):
        wide, high = one.place.directions
        own = []
        for pair in product(range(wide), range(high)):
            widths = tally.widths(number, pair)
            if widths is not None:
                own.append((one.place.cost(widths)["macs"], _lost(one, *pair)))
        states.append([(one.place.cost(one.place.now)["macs"], 0.0), *own])
    states = [[s for s in own if not any(o[0] <= s[0] and o[1] < s[1] for o in own)] for own in states]
    return min(sum(loss for _, loss in all_) for all_ in product(*states) if sum(cost for cost, _ in all_) <= wanted)


def _losses(candidates: list[Candidate], kept: list[Kept]) -> float:
    total = 0.0
    for one, own in zip(candidates, kept, strict=True):
        total += float(one.importance.sum() - one.importance[list(own.rows)][:, list(own.columns)].sum())
    return total


def _chosen(candidates: list[Candidate], remove: float, order: Literal["cost", "importance"]) -> list[Kept]:
    return choose(candidates, {"macs": remove}, _dense(candidates), order=order, limit=0.95, fold=True)


@pytest.mark.parametrize("remove", [0.2, 0.4])
def test_hardly_any_choice_loses_less_importance(remove: float) -> None:
    found, best, threshold = [], [], []
    for seed in range(3):
        candidates = _candidates(seed)
        found.append(_losses(candidates, _chosen(candidates, remove, "cost")))
        threshold.append(_losses(candidates, _chosen(candidates, remove, "importance")))
        best.append(_best(candidates, remove))
        assert found[-1] >= best[-1] * (1 - 1e-9)
    assert sum(found) < 1.2 * sum(best)
    assert sum(found) <= sum(threshold)


@pytest.mark.parametrize("patch", [False, True])
@pytest.mark.parametrize("fold", [False, True])
def test_costs_of_many_states_are_those_of_the_cheapest_form_of_each(patch: bool, fold: bool) -> None:
    place = _place(5, 6, stride=2, patch=patch)
    wide, high = place.directions
    pairs = torch.cartesian_prod(torch.arange(1, wide + 1), torch.arange(1, high + 1)).numpy()
    for unit in UNITS:
        found = place.costs(pairs[:, 0], pairs[:, 1], unit, fold=fold).tolist()
        wanted = [
            min(place.cost(widths)[unit] for widths in forms(place, columns, rows, fold=fold))
            for columns, rows in pairs.tolist()
        ]
        assert found == wanted


def test_directions_without_importance_go_no_further_than_asked() -> None:
    """Where nothing is lost at all, the budget alone says how many go."""
    one = Candidate(path="0", place=_place(16, 16), importance=torch.zeros(16, 16, dtype=torch.float64))
    (kept,) = _chosen([one], 0.3, "cost")
    assert kept.widths is not None
    gone = 1 - one.place.cost(kept.widths)["macs"] / one.place.cost(one.place.now)["macs"]
    assert 0.3 <= gone < 0.37


@pytest.mark.parametrize("order", ["cost", "importance"])
def test_the_most_that_can_go_is_told(order: Literal["cost", "importance"]) -> None:
    with pytest.raises(BudgetError, match=r"wanted 0\.99 of macs removed, got at most 0\.9"):
        _chosen(_candidates(0), 0.99, order)
