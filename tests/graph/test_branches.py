"""Which producers of sums are offered as branches, and what stays as it is."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs._errors import PlanError
from secateurs.graph import Graph, Plan, Scatter, trace
from secateurs.models import build
from tests.surgery._proof import case, cut

BRANCHES = {
    "branch_fixed_stream": {"last"},
    "branch_in_place": {"stem", "outer"},
    "branch_scaled": {"stem", "down", "more"},
    "branch_read_twice": {"stem", "block", "last", "head", "other"},
    "branch_shared": {"stem", "plain"},
    "branch_columns": {"stem", "down"},
    "branch_asked": {"stem", "block"},
    "branch_turned": {"stem", "mix", "dense"},
    "branch_upward": {"stem", "up"},
    "residual": {"stem", "a2", "b2", "project"},
    "pre_activation": {"stem", "outer.0", "outer.1"},
    "dense_concatenation": set(),
    "branches": set(),
    "squeeze_excite": set(),
    "depthwise": set(),
    "gate_chunk": set(),
}
"""Zoo model to the layers whose outputs are added up and can lose units alone."""


def branches(graph: Graph) -> set[str]:
    """Names of all branch axes, without the suffix that all of them have."""
    return {axis.name.removesuffix(":branch") for axis in graph.axes if axis.kind == "branch"}


def as_read(plan: Plan) -> dict[str, Any]:
    """What a file with the plan holds."""
    content: dict[str, Any] = json.loads(json.dumps(plan.to_json()))
    return content


@pytest.mark.parametrize("name", BRANCHES)
def test_the_producers_of_sums_are_branches(name: str) -> None:
    assert branches(case(name).graph) == BRANCHES[name]


def test_every_block_of_a_residual_network_is_a_branch() -> None:
    graph = trace(build("resnet8", classes=10), torch.zeros(1, 3, 8, 8))
    assert branches(graph) == {"conv1", *[f"layer{stage}.0.conv2" for stage in (1, 2, 3)]}
    assert all(axis.exact and axis.name.endswith(":branch") for axis in graph.axes if axis.kind == "branch")


class Net(nn.Module):
    """Two layers added up, if they are."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.one, self.two, self.head, self.join = nn.Linear(3, 6), nn.Linear(3, 6), nn.Linear(6, 2), join

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(F.relu(self.join(self.one(x), self.two(x))))
        return out


@pytest.mark.parametrize(
    ("join", "expected"),
    [
        (torch.add, {"one", "two"}),
        (torch.sub, {"one", "two"}),
        (lambda a, b: torch.addcmul(a, b, b), {"one", "two"}),
        (torch.mul, set()),
        (torch.maximum, set()),
        (lambda a, b: a + a, set()),
        (lambda a, b: a + b.mean(), set()),
    ],
)
def test_sums_make_branches(join: Callable[[Tensor, Tensor], Tensor], expected: set[str]) -> None:
    assert branches(trace(Net(join), torch.zeros(4, 3))) == expected


def test_other_axes_and_what_is_fixed_are_as_without_branches() -> None:
    summed, multiplied = trace(Net(torch.add), torch.zeros(4, 3)), trace(Net(torch.mul), torch.zeros(4, 3))
    others = [axis for axis in summed.axes if axis.kind != "branch"]
    for one, two in zip(others, multiplied.axes, strict=True):
        assert (one.name, one.kind, one.size, one.exact) == (two.name, two.kind, two.size, two.exact)
        assert [(m.path, m.dim, m.role) for m in one.members] == [(m.path, m.dim, m.role) for m in two.members]
    assert [(f.path, f.dim, f.count) for f in summed.fixed] == [(f.path, f.dim, f.count) for f in multiplied.fixed]


def test_a_fixed_stream_is_reported_as_before() -> None:
    fixed = {str(entry) for entry in case("branch_fixed_stream").graph.fixed if entry.path == "last.weight"}
    assert fixed == {"last.weight[0]: tied to a dimension that cannot be cut (aten.add)"}


def test_a_scatter_says_where_the_units_go() -> None:
    graph = trace(Net(torch.add), torch.zeros(4, 3))
    plan = graph.plan({"one": [0, 5], "two:branch": [0, 2, 3]})
    assert plan.scatters == (Scatter(path="two", dim=-1, size=4, kept=(0, 3)),)
    assert [tuple(kept.tolist()) for kept in plan.kept("two.weight")] == [(1, 4), (0, 1, 2)]
    assert [tuple(kept.tolist()) for kept in plan.kept("one.weight")] == [(1, 2, 3, 4), (0, 1, 2)]


def test_no_scatter_where_the_stream_goes_too() -> None:
    graph = trace(Net(torch.add), torch.zeros(4, 3))
    assert graph.plan({"one": [0, 2], "two:branch": [0, 2]}).scatters == ()


def test_a_branch_that_keeps_nothing_is_refused() -> None:
    graph = trace(Net(torch.add), torch.zeros(4, 3))
    with pytest.raises(PlanError, match=r"two\.(weight|bias)\[0\]: wanted a unit that stays"):
        graph.plan({"one": [0, 1, 2], "two:branch": [3, 4, 5]})


@pytest.mark.parametrize(
    "change",
    [{"kept": [3, 0]}, {"kept": []}, {"kept": [0, 9]}, {"dim": 1}, {"size": "4"}, {"path": ""}, {"kept": [0, 1, 2, 3]}],
)
def test_a_damaged_scatter_is_refused(change: dict[str, object]) -> None:
    content = as_read(trace(Net(torch.add), torch.zeros(4, 3)).plan({"one": [0, 5], "two:branch": [0, 2, 3]}))
    assert Plan.from_json(content).scatters
    content["scatters"][0].update(change)
    with pytest.raises(PlanError, match="wanted a plan written by"):
        Plan.from_json(content)


def test_plans_written_before_there_were_branches_are_read() -> None:
    content = as_read(trace(Net(torch.add), torch.zeros(4, 3)).plan({"one": [0, 5]}))
    del content["scatters"]
    assert Plan.from_json(content).scatters == ()


def test_a_stream_stays_one_axis_when_branches_of_it_are_cut() -> None:
    found = case("residual")
    plan = found.graph.plan({"a2:branch": [1, 4], "stem:branch": [2]})
    again = trace(cut(found.model, plan), *found.call())
    sizes = {axis.name: axis.size for axis in found.graph.axes}
    assert {axis.name: axis.size for axis in again.axes} == {**sizes, "a2:branch": 4, "stem:branch": 5}
