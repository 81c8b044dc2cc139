import pytest
import torch
from torch import Tensor, nn

from secateurs._errors import PlanError
from secateurs.criteria import GeometricMedian, _geometric_median
from secateurs.graph import Axis, Graph, trace
from tests.criteria._toys import TOYS, toy


def _vector(graph: Graph, axis: Axis, unit: int) -> Tensor:
    parts = []
    for member in axis.members:
        if member.role == "produces":
            weight = graph.tensor(member.path).detach().double().movedim(member.dim, 0)
            own = [p for p, u in zip(member.positions.tolist(), member.units.tolist(), strict=True) if u == unit]
            parts += [weight[position].reshape(-1) for position in own]
    return torch.cat(parts)


@pytest.mark.parametrize("name", TOYS)
@pytest.mark.parametrize("block", [1, 13, 2**22])
def test_scores_are_sums_of_distances(name: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_geometric_median, "_BLOCK", block)
    graph, _ = toy(name)
    scores = GeometricMedian()(graph)
    for axis in graph.axes:
        vectors = [_vector(graph, axis, unit) for unit in range(axis.size)]
        wanted = [sum(float((one - other).norm()) for other in vectors) for one in vectors]
        torch.testing.assert_close(scores[axis.name], torch.tensor(wanted, dtype=torch.float64))


def test_a_unit_in_the_middle_of_others_goes_first_however_large_it_is() -> None:
    model = nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 2))
    with torch.no_grad():
        model.get_parameter("0.weight").copy_(torch.tensor([[99.0, 99], [101, 101], [101, 99], [99, 101], [100, 100]]))
    assert int(GeometricMedian()(trace(model, (torch.zeros(1, 2),)))["0"].argmin()) == 4


def test_equal_units_are_no_distance_apart() -> None:
    model = nn.Sequential(nn.Linear(300, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        model.get_parameter("0.weight").copy_(torch.randn(300).expand(4, 300) * 1e4)
    assert GeometricMedian()(trace(model, (torch.zeros(1, 300),)))["0"].max() < 1e-2


def test_weights_without_values_are_refused() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    with pytest.raises(PlanError, match=r"0\.weight: wanted weights with values, got a meta tensor"):
        GeometricMedian()(trace(model, (torch.zeros(1, 2, device="meta"),)))
