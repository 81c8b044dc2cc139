import pytest
import torch
from torch import nn

from secateurs.criteria import LAMP, Magnitude
from secateurs.graph import trace
from tests.criteria._toys import TOYS, toy


@pytest.mark.parametrize("name", TOYS)
def test_scores_follow_the_formula(name: str) -> None:
    graph, _ = toy(name, dtype=torch.float64)
    magnitudes, scores = Magnitude()(graph), LAMP()(graph)
    for axis in graph.axes:
        squares = [value**2 for value in magnitudes[axis.name].tolist()]
        wanted = [one / sum(other for other in squares if other >= one) for one in squares]
        torch.testing.assert_close(scores[axis.name], torch.tensor(wanted, dtype=torch.float64))
        assert scores[axis.name].max() == 1


def test_equal_units_have_equal_scores_and_zeros_have_zero() -> None:
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        model.get_parameter("0.weight").copy_(torch.tensor([[1.0, 0], [0, 1.0], [2.0, 0], [0, 0]]))
    graph = trace(model, (torch.zeros(1, 2),))
    torch.testing.assert_close(LAMP()(graph)["0"], torch.tensor([1 / 6, 1 / 6, 1, 0], dtype=torch.float64))
    with torch.no_grad():
        model.get_parameter("0.weight").zero_()
    assert LAMP()(graph)["0"].tolist() == [0] * 4


def test_scores_neither_vanish_nor_overflow() -> None:
    graph, _ = toy("chain", dtype=torch.float64)
    before = LAMP()(graph)["0"]
    for factor in (1e-180, 1e180):
        fresh, _ = toy("chain", dtype=torch.float64)
        with torch.no_grad():
            fresh.tensor("0.weight").mul_(factor)
        torch.testing.assert_close(LAMP()(fresh)["0"], before)
