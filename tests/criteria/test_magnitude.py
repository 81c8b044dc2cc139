import math

import pytest
import torch
from torch import Tensor, nn

from secateurs._errors import ConfigError, PlanError
from secateurs.criteria import Magnitude
from secateurs.graph import Graph, trace
from tests.criteria._toys import Attention, Residual, fill, toy


def slow(graph: Graph, name: str, p: float) -> Tensor:
    """The formula, one entry at a time."""
    axis = graph[name]
    sums = [0.0] * axis.size
    for member in axis.members:
        if member.role == "produces":
            weight = graph.tensor(member.path).detach().double().movedim(member.dim, 0)
            for position, unit in zip(member.positions, member.units, strict=True):
                for entry in weight[int(position)].reshape(-1).tolist():
                    sums[int(unit)] += abs(entry) ** p
    return torch.tensor([total ** (1 / p) for total in sums], dtype=torch.float64)


@pytest.mark.parametrize("name", ["chain", "residual", "attention", "grouped"])
@pytest.mark.parametrize("p", [1, 2, 3.5])
def test_scores_follow_the_formula(name: str, p: float) -> None:
    graph, _ = toy(name, dtype=torch.float64)
    scores = Magnitude(p=p)(graph)
    for axis in graph.axes:
        torch.testing.assert_close(scores[axis.name], slow(graph, axis.name, p))


def test_producers_of_a_sum_add_up() -> None:
    model = Residual()
    with torch.no_grad():
        model.stem.weight.fill_(1.0)  # 27 entries per unit
        model.outer.weight.fill_(2.0)  # 45 entries per unit
    graph = trace(model, (torch.zeros(1, 3, 4, 4),))
    assert Magnitude(p=1)(graph)["stem"].tolist() == [27 + 90] * 6
    torch.testing.assert_close(Magnitude(p=2)(graph)["stem"], torch.full((6,), math.sqrt(27 + 180)))
    assert Magnitude(p=math.inf)(graph)["stem"].tolist() == [2] * 6


def test_a_head_adds_up_all_its_rows() -> None:
    model = Attention()
    with torch.no_grad():
        model.attention.in_proj_weight.zero_()
        model.attention.in_proj_weight[0] = 1.0  # query of head 0, 8 inputs
        model.attention.in_proj_weight[23] = 3.0  # value of head 1
    graph = trace(model, (torch.zeros(1, 5, 4),))
    (heads,) = [axis.name for axis in graph.axes if axis.kind == "head"]
    assert Magnitude(p=1)(graph)[heads].tolist() == [8, 24]


def test_only_producing_weights_count() -> None:
    graph = trace(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)), (torch.zeros(2, 2),))
    before = Magnitude()(graph)["0"]
    with torch.no_grad():
        graph.tensor("0.bias").fill_(100)
        graph.tensor("1.weight").fill_(100)
        graph.tensor("2.weight").fill_(100)
    assert torch.equal(Magnitude()(graph)["0"], before)


class Scaled(nn.Module):
    """An axis that no weight produces: constants, scaled and read."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0, 4.0]))
        self.shift: Tensor
        self.register_buffer("shift", torch.tensor([100.0, 100.0, 100.0]))
        self.read = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.read(x.sum() * self.scale + self.shift)
        return result


def test_an_axis_without_producers_counts_all_its_parameters() -> None:
    model = Scaled()
    with torch.no_grad():
        model.read.weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    graph = trace(model, (torch.zeros(4),))
    (axis,) = graph.axes
    assert {member.role for member in axis.members} <= {"scales", "reads"}
    assert Magnitude(p=1)(graph)[axis.name].tolist() == [2, 3, 4]


def test_small_and_large_weights_neither_vanish_nor_overflow() -> None:
    graph, _ = toy("chain")
    before = Magnitude(p=8)(graph)["0"]
    for factor in (1e-30, 1e30):
        with torch.no_grad():
            fill(graph.model)
            graph.tensor("0.weight").mul_(factor)
        torch.testing.assert_close(Magnitude(p=8)(graph)["0"] / factor, before)


@pytest.mark.parametrize("normalize", [None, "mean", "max"])
def test_weights_of_zero_score_zero(normalize: str | None) -> None:
    graph, _ = toy("chain")
    with torch.no_grad():
        graph.tensor("0.weight").zero_()
    assert Magnitude(normalize=normalize)(graph)["0"].tolist() == [0] * 7  # type: ignore[arg-type]


@pytest.mark.parametrize("p", [0.5, 0, -1, float("nan"), "2", True, None])
def test_a_norm_that_is_none_is_refused(p: object) -> None:
    with pytest.raises(ConfigError, match=r"p: wanted a number of at least 1, or inf"):
        Magnitude(p=p)  # type: ignore[arg-type]


def test_an_unknown_normalisation_is_refused() -> None:
    with pytest.raises(ConfigError, match="normalize: wanted None, 'mean' or 'max', got 'sum'"):
        Magnitude(normalize="sum")  # type: ignore[arg-type]


def test_weights_without_values_are_refused() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    graph = trace(model, (torch.zeros(1, 2, device="meta"),))
    with pytest.raises(PlanError, match=r"0\.weight: wanted weights with values, got a meta tensor"):
        Magnitude()(graph)


@pytest.mark.parametrize("p", [1, 2, math.inf])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(p: float, value: float) -> None:
    graph, _ = toy("chain")
    with torch.no_grad():
        graph.tensor("2.weight")[1, 1] = value
    with pytest.raises(PlanError, match=r"scores\['2'\]: wanted finite scores"):
        Magnitude(p=p)(graph)
