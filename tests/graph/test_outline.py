"""The graph as plain data: nothing of it is lost or made up."""

import json

import pytest
import torch
from torch import nn

import secateurs as sec
from secateurs.graph import Graph, outline


@pytest.fixture(scope="module")
def graph() -> Graph:
    return sec.trace(sec.models.build("resnet8", classes=10), args=(torch.randn(1, 3, 16, 16),))


def test_it_is_json_and_its_multiply_adds_are_those_of_the_network(graph: Graph) -> None:
    told = outline(graph)
    assert json.loads(json.dumps(told)) == told
    assert sum(module["macs"][0] for module in told["modules"]) == graph.cost().macs
    assert all(module["macs"][0] == module["macs"][1] for module in told["modules"])
    assert [axis["name"] for axis in told["axes"]] == [axis.name for axis in graph.axes if axis.kind != "branch"]
    assert [f"{each['path']}[{each['dim']}]: {each['why']}" for each in told["fixed"]] == list(map(str, graph.fixed))


def test_with_a_plan_it_says_what_is_left(graph: Graph) -> None:
    plan = graph.plan({"layer2.0.conv1": [0, 1, 2], "layer3.0.conv2:branch": [4]})
    told = outline(graph, plan)
    assert sum(module["macs"][1] for module in told["modules"]) == plan.cost.macs
    kept = {axis["name"]: axis["size"] - axis["kept"] for axis in told["axes"]}
    assert {name: lost for name, lost in kept.items() if lost} == {"layer2.0.conv1": 3, "layer3.0.conv2:branch": 1}
    small = sec.apply(graph.model, plan).model
    convolutions = {name: m for name, m in small.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))}
    for module in told["modules"]:
        assert module["params"][1] == sum(each.numel() for each in convolutions[module["path"]].parameters())


def test_what_only_holds_weights_stands_where_it_is_defined() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.table, self.last = nn.Linear(4, 4), nn.Embedding(10, 6), nn.Linear(6, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made: torch.Tensor = self.last(self.table(x)) + self.first(torch.ones(4)).sum()
            return made

    told = outline(sec.trace(Tokens(), args=(torch.zeros(1, 3, dtype=torch.int64),)))
    assert [module["path"] for module in told["modules"]] == ["table", "last", "first"]
