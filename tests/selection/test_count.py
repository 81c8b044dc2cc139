"""Exactly so many units, against an order written out by hand, and the levels of the published study."""

from collections.abc import Mapping
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from secateurs import models
from secateurs._errors import PlanError
from secateurs.graph import Axis, Graph, trace
from secateurs.selection import CountChoice, CountOptions, removals, sparsities, units_alone, units_by_count
from tests.selection._toys import graph_of, graphs, mlp, scores_of
from tests.surgery._proof import case
from tests.zoo import ZOO

Taken = set[tuple[str, int]]


def slow(units: list[tuple[float, str, int]], left: Mapping[str, int], low: int, high: int, floor: int) -> Taken:
    """Remove `low` units from the beginning of the order, `high` from its end, one by one."""
    taken: Taken = set()
    left = dict(left)
    names = list(left)
    for count, sign in ((low, 1), (high, -1)):
        for _ in range(count):
            free = [unit for unit in units if unit[1:] not in taken and left[unit[1]] > floor]
            _, name, index = min(free, key=lambda unit: (sign * unit[0], names.index(unit[1]), unit[2]))
            taken.add((name, index))
            left[name] -= 1
    return taken


@given(graph=graphs(), draw=st.data(), choice=st.sampled_from(["low", "high", "hybrid"]), floor=st.integers(1, 3))
def test_units_are_those_of_the_slow_order(graph: Graph, draw: st.DataObject, choice: CountChoice, floor: int) -> None:
    axes = [own.axis for own in units_alone(graph)]
    scores = scores_of(graph, draw.draw(st.integers(0, 99)), distinct=draw.draw(st.sampled_from([2, 1000])))
    gone = {axis.name: sorted(draw.draw(st.sets(st.integers(0, axis.size - 1)))) for axis in axes}
    alive = [
        (float(scores[axis.name][unit]), axis.name, unit)
        for axis in axes
        for unit in range(axis.size)
        if unit not in gone[axis.name]
    ]
    left = {axis.name: axis.size - len(gone[axis.name]) for axis in axes}
    count = draw.draw(st.integers(0, sum(max(0, size - floor) for size in left.values())))
    low = {"low": count, "high": 0, "hybrid": -(-count // 2)}[choice]
    found = units_by_count(axes, scores, count, CountOptions(choice=choice, floor=floor), gone=gone)
    assert [*found] == [axis.name for axis in axes]
    taken = {(name, unit) for name, units in found.items() for unit in units}
    assert taken == slow(alive, left, low, count - low, floor)
    assert sum(len(units) for units in found.values()) == count


@given(seed=st.integers(0, 2**31), count=st.integers(0, 9))
def test_lots_are_exactly_so_many_and_repeat(seed: int, count: int) -> None:
    axes = mlp([4, 6, 5, 3, 2]).axes
    gone = {axes[0].name: [0, 5]}
    options = CountOptions(choice="random", seed=seed)
    found = units_by_count(axes, {}, count, options, gone=gone)
    assert sum(map(len, found.values())) == count
    assert not set(found[axes[0].name]) & {0, 5}
    assert found == units_by_count(axes, {}, count, options, gone=gone)


def test_lots_reach_every_unit_and_differ_between_seeds() -> None:
    axes = mlp([4, 6, 5, 3]).axes
    draws = [units_by_count(axes, {}, 3, CountOptions(choice="random", seed=seed)) for seed in range(60)]
    assert {(name, unit) for draw in draws for name, units in draw.items() for unit in units} == {
        (axis.name, unit) for axis in axes for unit in range(axis.size)
    }


def test_a_count_that_cannot_be_and_options_that_make_no_sense_are_refused() -> None:
    axes = mlp([4, 6, 5, 3]).axes
    with pytest.raises(PlanError, match=r"a count from 0 to 9, as 11 units in 2 axes and a floor of 1 allow, got 10"):
        units_by_count(axes, {}, 10, CountOptions(choice="random"))
    with pytest.raises(PlanError, match=r"choice: wanted one of low, high"):
        CountOptions(choice="lowest")  # type: ignore[arg-type]
    with pytest.raises(PlanError, match=r"floor: wanted an integer of at least 1"):
        CountOptions(floor=0)
    assert set(get_args(CountChoice)) == {"low", "high", "hybrid", "random"}


def test_units_of_a_residual_network_are_those_of_the_published_study() -> None:
    graph = trace(models.build("resnet20"), (torch.zeros(1, 3, 32, 32),))
    owns = units_alone(graph, protect=["conv1"])
    assert len(owns) == 18
    assert sum(own.axis.size for own in owns) == 672
    assert [own.layer for own in owns][:3] == ["layer1.0.conv1", "layer1.0.conv2", "layer1.1.conv1"]
    assert {own.axis.kind for own in owns} == {"channel", "branch"}


def test_units_of_a_nine_layer_network_without_its_first_layer() -> None:
    graph = trace(models.build("resnet9", width=0.25), (torch.zeros(1, 3, 32, 32),))
    assert sum(own.axis.size for own in units_alone(graph, protect=["prep"])) == (3 * 128 + 256 + 3 * 512) // 4


def test_streams_and_axes_cut_by_equal_shares_have_no_units_alone() -> None:
    names = [own.axis.name for own in units_alone(graph_of("residual"))]
    assert names == ["stem:branch", "inner", "outer:branch"]
    graph = next(case(name).graph for name in ZOO if name.startswith("coupled_heads") and case(name).graph.couplings)
    tied = {name for coupling in graph.couplings for name in coupling.shares}
    assert tied & {axis.name for axis in graph.axes if len(_makers(axis)) == 1}
    assert not tied & {own.axis.name for own in units_alone(graph)}
    assert [own.axis.name for own in units_alone(graph_of("residual"), kinds=["channel"])] == ["inner"]


def _makers(axis: Axis) -> list[str]:
    return [member.path for member in axis.members if member.role == "produces"]


def test_sparsities_are_the_published_ones() -> None:
    found = sparsities(0.05, density=0.39)
    assert found[:9] == (5.0, 9.75, 14.26, 18.55, 22.62, 26.49, 30.17, 33.66, 36.98)
    assert found[9:] == (40.13, 43.12, 45.96, 48.67, 51.23, 53.67, 55.99, 58.19, 60.28)
    assert sparsities(0.5, density=0.6) == ()


def test_eighteen_levels_of_672_units_end_at_410() -> None:
    assert sum(removals(672, 0.05, 18)) == 410


@given(units=st.integers(1, 5000), percent=st.integers(1, 99), levels=st.integers(0, 40))
def test_levels_never_remove_less_than_their_sparsity_and_hardly_more(units: int, percent: int, levels: int) -> None:
    removed, left = removals(units, percent / 100, levels), units
    assert len(removed) == levels
    for count in removed:
        assert (count - 1) * 100 < percent * left <= count * 100
        left -= count
    published = sparsities(percent / 100, density=0.01)
    for level in range(min(levels, len(published))):
        share = 100 * sum(removed[: level + 1]) / units
        # Each level rounds up by less than a unit.
        assert published[level] - 0.01 <= share < published[level] + 0.01 + 100 * (level + 1) / units
