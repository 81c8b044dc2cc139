"""Layers that ask for more than equal positions: sizes in multiples, numbers of positions, weights read in part."""

import pytest
import torch
from torch import Tensor, nn

import secateurs as sec
from secateurs.graph import trace
from tests.graph.test_rules import prove, traced


class Grouped(nn.Module):
    """Experts in one tensor, by torch's operator for runs of rows: it reads 16 bytes at once."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(6, 16), nn.Linear(16, 4)
        self.up, self.down = nn.Parameter(torch.randn(3, 16, 24)), nn.Parameter(torch.randn(3, 24, 16))

    def forward(self, x: Tensor) -> Tensor:
        rows = self.embed(x)
        bounds = torch.tensor([2, 4, 6], dtype=torch.int32)
        inner = torch._grouped_mm(rows, self.up, offs=bounds).relu()
        out: Tensor = self.head(rows + torch._grouped_mm(inner, self.down, offs=bounds))
        return out


def test_units_go_in_the_multiples_that_an_operator_takes() -> None:
    model, x = Grouped(), torch.randn(6, 6)
    graph = trace(model, x)
    assert {axis.name: axis.size for axis in graph.axes if axis.kind != "branch"} == {"embed": 16, "up": 24}
    assert {name: share for entry in graph.couplings for name, share in entry.shares.items()} == {"embed": 4, "up": 4}
    with pytest.raises(sec.SecateursError, match=r"Cut these by equal shares.* steps of 4 of up"):
        graph.plan({"up": [0, 1, 2]})
    result = sec.prune(model, x, remove={"params": 0.4})
    assert result.report.verified
    assert result.model(x).shape == (6, 4)


def test_the_largest_may_be_another_but_not_its_number() -> None:
    graph = traced(lambda x, y: (x + y).max(1, keepdim=True)[0] * x)
    assert not graph["first"].exact
    prove(graph)
    graph = traced(lambda x, y: (x + y).max(1, keepdim=True)[1] * x)
    assert [axis.name for axis in graph.axes if axis.kind != "branch"] == []
    assert any("one position of it is picked" in entry.why for entry in graph.fixed if entry.path == "first.weight")


def test_positions_that_the_call_does_not_read_stay() -> None:
    class Places(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.last = nn.Parameter(torch.randn(9, 6)), nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.last(x + self.table[: x.shape[1]])
            return out

    graph = trace(Places(), torch.randn(2, 5, 6))
    whys = {entry.why: entry.count for entry in graph.fixed if (entry.path, entry.dim) == ("table", 0)}
    assert whys["not read in the traced call"] == 4
