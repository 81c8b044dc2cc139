"""Which units stay: hand-computed cases, and a slow reference that sorts lists."""

import itertools
import random
from typing import Any

import pytest
import torch
from torch import Tensor

from secateurs.masks import MaskOptions, expand_units, keep_units, unit_scores

SHAPES = {"a": (4, 3, 2, 2), "b": (5, 4, 1, 1), "c": (6, 5)}


def test_sums_by_hand() -> None:
    scores = torch.tensor([[[1.0, -3.0], [2.0, 0.0]], [[-1.0, -1.0], [4.0, -2.0]]])  # [out 2, in 2, kernel 2]
    assert unit_scores(scores, "channel", signed=False).tolist() == [6 / 4, 8 / 4]
    assert unit_scores(scores, "channel", signed=True).tolist() == [0.0, 0.0]
    assert unit_scores(scores, "kernel", signed=False).tolist() == [[2.0, 1.0], [1.0, 3.0]]
    assert unit_scores(scores, "kernel", signed=True).tolist() == [[-1.0, 1.0], [-1.0, 1.0]]
    assert torch.equal(unit_scores(scores, "weight", signed=False), scores.abs())


def test_layerwise_by_hand() -> None:
    scores = {"l": torch.tensor([[0.3], [-0.1], [0.2], [-0.9], [0.5]])}
    kept = _keep(scores, rate=0.5)  # floor(0.5 * 5) = 2 of five go: 0.1 and 0.2
    assert kept["l"].tolist() == [True, False, False, True, True]
    signed = _keep(scores, rate=0.5, signed=True)  # now -0.9 and -0.1 are the lowest
    assert signed["l"].tolist() == [True, False, True, False, True]


def test_global_by_hand() -> None:
    # Means per channel: a 0.1, 0.4; b 0.2, 0.3, 0.6. Three of five go: the threshold is 0.3, and 0.3 is not above it.
    scores = {"a": torch.tensor([[0.2, 0.0], [0.4, 0.4]]), "b": torch.tensor([[0.2], [0.3], [-0.6]])}
    kept = _keep(scores, rate=0.6, scope="global")
    assert {name: values.tolist() for name, values in kept.items()} == {"a": [False, True], "b": [False, False, True]}


def test_relevant_by_hand() -> None:
    # Ratios: 0.5, 2 and 1. Two of three are counted off, and the second lowest, 1, is not below the threshold.
    scores = {"l": torch.tensor([[0.5, 0.5], [2.0, -2.0], [1.0, 1.0]])}
    initial = {"l": torch.tensor([[1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])}
    options = MaskOptions(rate=0.7, scope="global", rank="relevant")
    assert keep_units(scores, initial, {"l": 0.7}, options)["l"].tolist() == [False, True, True]
    signed = MaskOptions(rate=0.7, scope="global", rank="relevant", signed=True)  # ratios 0.5, 0 and 1
    assert keep_units(scores, initial, {"l": 0.7}, signed)["l"].tolist() == [True, False, True]


def test_a_layer_is_never_emptied() -> None:
    scores = {"weak": torch.tensor([[0.1], [0.3], [0.2]]), "strong": torch.full((6, 1), 9.0) + torch.arange(6)[:, None]}
    kept = _keep(scores, rate=0.5, scope="global", floor=1)
    assert kept["weak"].tolist() == [False, True, False]
    assert _keep(scores, rate=0.5, scope="global", floor=2)["weak"].tolist() == [False, True, True]


def test_protected_layers_are_not_ranked() -> None:
    scores = {"a": torch.tensor([[0.1], [0.2]]), "b": torch.tensor([[1.0], [2.0], [3.0], [4.0]])}
    options = MaskOptions(rate=0.5, scope="global")
    kept = keep_units(scores, scores, {"a": 0.0, "b": 0.5}, options)
    assert kept["a"].all()
    assert kept["b"].tolist() == [False, False, True, True]


def test_equal_scores_lose_the_exact_number() -> None:
    kept = _keep({"l": torch.ones(10, 2)}, rate=0.3)
    assert kept["l"].tolist() == [False] * 3 + [True] * 7


def test_patterns_keep_two_of_every_four_inputs() -> None:
    torch.manual_seed(0)
    scores = torch.randn(5, 10, 3, 3)
    kept = _keep({"l": scores}, granularity="pattern")["l"]
    assert kept.shape == scores.shape
    for out, row, column in itertools.product(range(5), range(3), range(3)):
        for start in (0, 4):
            group = scores[out, start : start + 4, row, column].abs()
            wanted = {int(index) for index in group.argsort()[2:]}
            found = {index for index in range(4) if kept[out, start + index, row, column]}
            assert found == wanted
    assert kept[:, 8:].all()  # a rest of fewer than four stays


def test_rate_zero_keeps_all() -> None:
    for scope in ("layerwise", "global"):
        assert _keep({"l": torch.randn(7, 3)}, rate=0.0, scope=scope)["l"].all()


@pytest.mark.parametrize("seed", range(40))
def test_any_choice_equals_the_slow_reference(seed: int) -> None:
    draw = random.Random(seed)
    torch.manual_seed(seed)
    granularity = draw.choice(["weight", "kernel", "channel"])
    options = MaskOptions(
        rate=draw.choice([0.0, 0.1, 0.3, 0.5, 0.7, 0.95]),
        granularity=granularity,  # type: ignore[arg-type]
        scope=draw.choice(["layerwise", "global"]),
        rank="absolute" if granularity == "weight" else draw.choice(["absolute", "relevant"]),
        signed=draw.random() < 0.5,
        floor=draw.choice([1, 2]),
    )
    scores = {name: torch.randn(shape, dtype=torch.float64) for name, shape in SHAPES.items()}
    initial = {name: torch.randn(shape, dtype=torch.float64) for name, shape in SHAPES.items()}
    rates = {name: draw.choice([options.rate, options.rate, 0.0]) for name in SHAPES}
    kept = keep_units(scores, initial, rates, options)
    for name, wanted in _slow(scores, initial, rates, options).items():
        assert [bool(value) for value in kept[name].flatten()] == wanted, name


def _slow(
    scores: dict[str, Tensor], initial: dict[str, Tensor], rates: dict[str, float], options: MaskOptions
) -> dict[str, list[bool]]:
    """The same by lists and loops over single units."""
    ranked: dict[str, list[float]] = {}
    for name, values in scores.items():
        ranked[name] = []
        for unit in _units(values, options.granularity):
            weights = [float(values[place]) for place in unit]
            above = sum(weights) if options.signed else sum(abs(weight) for weight in weights)
            below = sum(abs(float(initial[name][place])) for place in unit)
            ranked[name].append(above / (below if options.rank == "relevant" else len(unit)))
    kept = {}
    pool = sorted(value for name in ranked if rates[name] for value in ranked[name])
    gone = int(options.rate * len(pool))
    for name, values_ in ranked.items():
        order = sorted(range(len(values_)), key=values_.__getitem__)
        if not rates[name]:
            stays = set(order)
        elif options.scope == "layerwise":
            stays = set(order[int(rates[name] * len(order)) :])
        elif not gone:
            stays = set(order)
        elif options.rank == "relevant":
            stays = {unit for unit in order if values_[unit] >= pool[gone - 1]}
        else:
            stays = {unit for unit in order if values_[unit] > pool[gone - 1]}
        stays |= set(order[-options.floor :])
        kept[name] = [unit in stays for unit in range(len(values_))]
    return kept


def _units(values: Tensor, granularity: str) -> list[list[tuple[int, ...]]]:
    depth = {"channel": 1, "kernel": 2, "weight": values.dim()}[granularity]
    places = list(itertools.product(*(range(size) for size in values.shape)))
    groups: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for place in places:
        groups.setdefault(place[:depth], []).append(place)
    return list(groups.values())


def test_units_become_masks_of_weights() -> None:
    weight = torch.zeros(2, 3, 2, 2)
    channel = expand_units(torch.tensor([True, False]), weight)
    assert channel.shape == weight.shape
    assert channel[0].all()
    assert not channel[1].any()
    kernel = expand_units(torch.tensor([[True, False, True], [False, True, False]]), weight)
    assert kernel[0, 1].sum() == 0
    assert kernel[1, 1].all()


def _keep(scores: dict[str, Tensor], **options: Any) -> dict[str, Tensor]:
    chosen = MaskOptions(**options)
    return keep_units(scores, scores, dict.fromkeys(scores, chosen.rate), chosen)
