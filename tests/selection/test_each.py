"""The same share of every axis, again and again."""

import math
from collections.abc import Mapping
from itertools import pairwise

import pytest
import torch
from torch import nn

from secateurs._errors import PlanError
from secateurs.criteria import Random
from secateurs.graph import Graph, trace
from secateurs.selection import each_axis, select
from secateurs.surgery import apply
from tests.zoo.coupled import Stack

PUBLISHED = {
    50: [45, 40, 36, 32, 28, 25, 22],
    30: [27, 24, 21, 18, 16, 14, 12],
    256: [230, 207, 186, 167, 150, 135, 121],
    128: [115, 103, 92, 82, 73, 65, 58],
}
"""Widths that the description of train-time pruning comes to, a tenth at a time."""


def _graph(*widths: int) -> Graph:
    sizes = (3, *widths, 2)
    layers = [nn.Linear(before, after) for before, after in pairwise(sizes)]
    return trace(nn.Sequential(*layers), (torch.zeros(1, 3),))


def _cut(graph: Graph, ratio: float, widths: Mapping[str, int] | None = None) -> Graph:
    scope = each_axis(graph, ratio, widths=widths)
    plan = select(graph, Random()(graph), scope=scope)
    return trace(apply(graph.model, plan, verify=False).model, (torch.zeros(1, 3),))


def _sizes(graph: Graph) -> dict[str, int]:
    return {axis.name: axis.size for axis in graph.axes}


@pytest.mark.parametrize("first", PUBLISHED)
def test_a_tenth_at_a_time_gives_the_published_widths(first: int) -> None:
    graph, found = _graph(first), []
    for _ in range(7):
        graph = _cut(graph, 0.1)
        found.append(graph["0"].size)
    assert found == PUBLISHED[first]


@pytest.mark.parametrize("ratio", [0.1, 0.3, 1 / 3, 0.5, 0.9, 0.999])
def test_every_size_loses_its_share_rounded_up_and_keeps_one(ratio: float) -> None:
    for size in range(2, 40):
        left = _cut(_graph(size, 50), ratio)
        # 0.3 is three tenths here, as it is written, and not the float beside it.
        wanted = max(1, size - math.ceil(round(ratio * size, 9)))
        assert left["0"].size == wanted if wanted > 1 else "0" not in _sizes(left)


def test_no_axis_falls_below_its_width_and_the_others_go_on() -> None:
    graph = _graph(50, 30)
    for _ in range(7):
        graph = _cut(graph, 0.1, {"0": 40, "*": 3})
    assert _sizes(graph) == {"0": 40, "1": 12}


def test_nothing_is_asked_where_nothing_is_left() -> None:
    graph = _graph(3, 2)
    assert each_axis(graph, 0.1, widths={"*": 3}) == {}
    assert each_axis(graph, 0.1, protect=["*"]) == {}
    assert list(each_axis(graph, 0.1, protect=["1"])) == ["0"]
    assert each_axis(graph, 0.1, kinds=["channel"]) == {}


def test_axes_that_are_cut_by_equal_shares_stop_together() -> None:
    graph = trace(Stack("shape"), (torch.zeros(2, 3, 5),))
    (coupling,) = graph.couplings
    small, large, *_ = coupling.shares
    found = each_axis(graph, 0.1)
    assert found
    plan = select(graph, Random()(graph), scope=found)
    assert coupling.even({name: len(units) for name, units in plan.removed.items()})
    assert each_axis(graph, 0.1, widths={small: graph[small].size}) == {}
    assert each_axis(graph, 0.1, widths={large: graph[large].size}) == {}


@pytest.mark.parametrize("width", [0, -1, 2.5, True])
def test_widths_are_counts(width: int) -> None:
    with pytest.raises(PlanError, match=r"widths\['0'\]"):
        each_axis(_graph(5), 0.1, widths={"0": width})


def test_a_ratio_is_between_nothing_and_all() -> None:
    with pytest.raises(PlanError, match="each_axis"):
        each_axis(_graph(5), 1.0)
