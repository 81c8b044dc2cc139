"""Floors of single axes, and those of the published subset-aware pruning."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from secateurs import models
from secateurs._errors import BudgetError, PlanError
from secateurs.graph import Graph, trace
from secateurs.selection import group_floors, select
from tests.selection._toys import graph_of, mlp, scores_of

STREAMS = {"conv1": 16, "layer2.0.conv2": 32, "layer3.0.conv2": 64}


@pytest.fixture(scope="module")
def resnet() -> Graph:
    """ResNet-20 with projections, as the published floors are meant for."""
    return trace(models.build("resnet20", shortcut="B"), (torch.zeros(1, 3, 32, 32),))


@pytest.mark.parametrize(
    ("rule", "ratio", "kept"),
    [
        # (8, 20, 32) are the widths of the published network at 50 %: none is below its floor.
        ("adapt", 0.5, (8, 16, 32)),
        ("adapt", 0.05, (1, 2, 4)),
        ("adapt", 0.3, (5, 10, 20)),
        ("adapt", 0.95, (1, 2, 4)),
        ("pruners", 0.5, (8, 16, 32)),
        ("pruners", 0.05, (16, 31, 61)),
        ("pruners", 0.6, (10, 20, 39)),
        ("pruners", 0.85, (8, 16, 32)),
        ("pruners", 0.95, (8, 16, 32)),
    ],
)
def test_streams_keep_the_published_share_and_other_axes_two(
    resnet: Graph, rule: Any, ratio: float, kept: tuple[int, ...]
) -> None:
    floors = group_floors(resnet, ratio, rule)
    assert tuple(floors[name] for name in STREAMS) == kept
    rest = {name: floor for name, floor in floors.items() if name not in STREAMS}
    assert set(rest.values()) == {2}
    assert len(floors) == sum(axis.kind != "branch" for axis in resnet.axes)


def test_a_chain_has_no_streams_and_a_single_unit_stays() -> None:
    assert group_floors(mlp([2, 7, 1, 3, 2]), 0.5) == {"0": 2, "2": 2}
    floors = group_floors(graph_of("residual"), 0.5)
    assert sum(floor > 2 for floor in floors.values()) <= 1


def test_the_budget_is_met_to_within_one_unit_and_every_floor_holds(resnet: Graph) -> None:
    scores = scores_of(resnet, 0)
    for name in STREAMS:  # the worst of all: they would go first
        scores[name] -= 10_000
    floors = group_floors(resnet, 0.5)
    plan = select(resnet, scores, {"params": 0.5}, floor=floors)
    kept = {axis.name: axis.size - len(plan.removed.get(axis.name, ())) for axis in resnet.axes}
    assert all(kept[name] >= floor for name, floor in floors.items())
    assert {name: kept[name] for name in STREAMS} == {name: floors[name] for name in STREAMS}
    assert 0 <= 0.5 - plan.cost.params / plan.before.params < 0.01


def test_a_budget_that_the_floors_forbid_says_what_they_allow(resnet: Graph) -> None:
    floors = group_floors(resnet, 0.98, "pruners")
    with pytest.raises(BudgetError, match=r"at most 0\.9[0-9]+ of params"):
        select(resnet, scores_of(resnet, 0), {"params": 0.98}, floor=floors)
    select(resnet, scores_of(resnet, 0), {"params": 0.98})


@settings(max_examples=40, deadline=None)
@given(
    widths=st.lists(st.integers(3, 12), min_size=3, max_size=5),
    seed=st.integers(0, 2**32),
    floor=st.integers(1, 4) | st.sampled_from([0.25, 0.5]),
)
def test_one_floor_for_all_is_a_floor_by_pattern(widths: list[int], seed: int, floor: float) -> None:
    graph = mlp(widths)
    scores = scores_of(graph, seed)
    sizes = [axis.size for axis in graph.axes]
    least = [min(math.ceil(floor * size) if isinstance(floor, float) else floor, size) for size in sizes]
    share = (sum(sizes) - sum(least)) / sum(sizes) - 0.01
    if share > 0:
        assert select(graph, scores, {"units": share}, floor={"*": floor}) == select(
            graph, scores, {"units": share}, floor=floor
        )


def test_a_name_counts_before_a_pattern_and_the_first_pattern_before_the_next() -> None:
    graph = mlp([2, 8, 8, 8, 2])
    plan = select(graph, scores_of(graph, 0), {"units": 0.7}, floor={"[02]": 3, "*": 1, "0": 2})
    kept = {axis.name: axis.size - len(plan.removed[axis.name]) for axis in graph.axes}
    assert sum(kept.values()) == 7
    assert kept["0"] >= 2
    assert kept["2"] >= 3
    with pytest.raises(BudgetError):
        select(graph, scores_of(graph, 0), {"units": 0.8}, floor={"[02]": 3, "*": 1, "0": 2})


@pytest.mark.parametrize(
    ("floor", "match"),
    [
        ({"nets*": 2}, r"floor\['nets\*'\]: wanted an axis or a pattern"),
        ({"*": 0}, "floor: wanted an integer of at least 1 or a ratio"),
        ({"*": 1.5}, "floor: wanted an integer of at least 1 or a ratio"),
    ],
)
def test_floors_that_make_no_sense_are_refused(floor: dict[str, float], match: str) -> None:
    graph = mlp([2, 8, 2])
    with pytest.raises(PlanError, match=match):
        select(graph, scores_of(graph, 0), {"units": 0.3}, floor=floor)


def test_an_unknown_rule_gives_the_nearest() -> None:
    with pytest.raises(PlanError, match=r"group_floors: .* Did you mean 'adapt'"):
        group_floors(mlp([2, 3, 2]), 0.5, "adap")  # type: ignore[arg-type]
