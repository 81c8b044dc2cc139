"""Kronecker criteria against the quadratic form of the full Fisher matrix, and what makes up for filters."""

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import secateurs as sec
from secateurs import criteria
from secateurs.eigen import compensated
from secateurs.statistics import FactorOptions, Factors, kronecker_factors, squared_gradients
from tests.criteria._toys import fill

PATCH = FactorOptions(fisher="empirical", inputs="patch")
LABELS = torch.tensor([0, 2, 1, 1, 0, 2])
KINDS = ("hidden", "channel", "branch")


class _Net(nn.Module):
    """A residual sum, biases and batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.inner = nn.Conv2d(4, 5, 3, padding=1)
        self.outer = nn.Conv2d(5, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.norm(self.outer(torch.relu(self.inner(torch.relu(x)))))
        result: Tensor = self.head(torch.relu(x).mean((2, 3)))
        return result


def _model() -> nn.Module:
    model = fill(_Net().double())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.3)
    return model


def _batches() -> list[tuple[Tensor, Tensor]]:
    x = torch.randn(6, 2, 5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return [(x, LABELS)]


def _factors(model: nn.Module) -> dict[str, Factors]:
    return kronecker_factors(model, _batches(), options=PATCH, loss=F.cross_entropy)


def _makers(graph: sec.Graph, axis: sec.Axis) -> list[str]:
    return [m.path.removesuffix(".weight") for m in axis.members if m.role == "produces" and m.path.endswith("weight")]


def _scores(criterion: criteria.Criterion) -> tuple[sec.Graph, criteria.Scores]:
    graph = sec.trace(_model(), (_batches()[0][0][:1],))
    return graph, criterion(graph, _batches(), F.cross_entropy)


def _extended(factors: Factors) -> Tensor:
    """A with an input of 1 for the bias, of one group."""
    moments, mean = factors.inputs[0], factors.mean[0]
    top = torch.cat([moments, mean[:, None]], 1)
    return torch.cat([top, torch.cat([mean, torch.ones(1).to(mean)])[None]])


def _row(model: nn.Module, path: str, unit: int) -> Tensor:
    """Weights and bias of an output."""
    layer = model.get_submodule(path)
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)
    flat = weight[unit].detach().flatten()
    own = bias[unit : unit + 1].detach() if isinstance(bias, Tensor) else torch.zeros(1, dtype=torch.float64)
    return torch.cat([flat, own])


def test_kron_obd_is_the_quadratic_form_of_the_filter_alone() -> None:
    model = _model()
    factors = _factors(model)
    graph, scores = _scores(criteria.KronOBD(factors=PATCH))
    assert {"channel", "branch"} <= {axis.kind for axis in graph.axes}
    for axis in graph.axes:
        for unit in range(axis.size):
            wanted = 0.0
            for path in _makers(graph, axis):
                row = _row(model, path, unit)
                delta = torch.zeros(len(factors[path].outputs), len(row), dtype=torch.float64)
                delta[unit] = row
                fisher = torch.kron(factors[path].outputs, _extended(factors[path]))
                wanted += 0.5 * float(delta.flatten() @ fisher @ delta.flatten())
            assert float(scores[axis.name][unit]) == pytest.approx(wanted)


def test_kron_obs_is_the_least_growth_once_the_filter_is_zero() -> None:
    """By solving for the other filters, with the damped S."""
    model, damping = _model(), 1e-2
    factors = _factors(model)
    graph, scores = _scores(criteria.KronOBS(factors=PATCH, damping=damping))
    for axis in graph.axes:
        for unit in range(axis.size):
            wanted = 0.0
            for path in _makers(graph, axis):
                outputs, row = factors[path].outputs, _row(model, path, unit)
                outputs = outputs + damping * outputs.diagonal().mean() * torch.eye(len(outputs), dtype=torch.float64)
                rest = [other for other in range(len(outputs)) if other != unit]
                # min over t of [1, t]' S [1, t], the change of every other filter being t times this one's
                least = outputs[unit, unit] - outputs[unit, rest] @ torch.linalg.solve(
                    outputs[rest][:, rest], outputs[rest, unit]
                )
                wanted += 0.5 * float(least * (row @ _extended(factors[path]) @ row))
            assert float(scores[axis.name][unit]) == pytest.approx(wanted, rel=1e-6)


def test_c_obd_is_the_sum_over_weights() -> None:
    model = _model()
    squares = squared_gradients(model, _batches(), options=PATCH, loss=F.cross_entropy)
    graph, scores = _scores(criteria.COBD(factors=PATCH))
    for axis in graph.axes:
        for unit in range(axis.size):
            wanted = 0.0
            for path in _makers(graph, axis):
                curvature = torch.cat([squares[path][0][unit], squares[path][1][unit : unit + 1]])
                wanted += float(0.5 * _row(model, path, unit).square() @ curvature)
            assert float(scores[axis.name][unit]) == pytest.approx(wanted)


def test_c_obs_is_the_sum_of_single_weights_by_the_inverse_of_the_full_matrix() -> None:
    model, damping = _model(), 1e-2
    factors = _factors(model)
    graph, scores = _scores(criteria.COBS(factors=PATCH, damping=damping))
    for axis in graph.axes:
        wanted = torch.zeros(axis.size, dtype=torch.float64)
        for path in _makers(graph, axis):
            parts = []
            for moments in (factors[path].outputs, factors[path].inputs[0]):
                ridge = damping * moments.diagonal().mean() * torch.eye(len(moments), dtype=torch.float64)
                parts.append(moments + ridge)
            diagonal = torch.linalg.inv(torch.kron(*parts)).diagonal()
            weight = model.get_parameter(f"{path}.weight").detach().flatten(1)
            wanted += 0.5 * (weight.square() / diagonal.reshape(weight.shape)).sum(1)
        torch.testing.assert_close(scores[axis.name].double(), wanted, rtol=1e-5, atol=0)


def _growth(factors: Factors, before: Tensor, after: Tensor) -> float:
    change = after - before
    return float(torch.einsum("oi,op,pj,ij->", change, factors.outputs, change, _extended(factors)))


def _rows(model: nn.Module, path: str, removed: Sequence[int]) -> Tensor:
    weight = model.get_parameter(f"{path}.weight")
    rows = torch.stack([_row(model, path, unit) for unit in range(len(weight))])
    rows[list(removed)] = 0
    return rows


def test_what_makes_up_for_filters_is_the_best_that_can_be_done() -> None:
    """No other change of the filters that stay makes the loss grow less, to second order."""
    model = _model()
    graph, factors = sec.trace(model, (_batches()[0][0],)), _factors(model)
    plan = graph.plan({"inner": [1, 3]})
    made = compensated(model, plan, factors, damping=0.0)
    before = _rows(model, "inner", ())
    best = _growth(factors["inner"], before, _rows(made, "inner", [1, 3]))
    assert best < _growth(factors["inner"], before, _rows(model, "inner", [1, 3]))
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        other = _rows(made, "inner", [1, 3])
        nudge = 0.01 * torch.randn(other.shape, generator=generator, dtype=torch.float64)
        nudge[[1, 3]] = 0
        assert _growth(factors["inner"], before, other + nudge) > best
    for path in ("stem", "outer", "head"):
        assert torch.equal(made.get_parameter(f"{path}.weight"), model.get_parameter(f"{path}.weight"))


def test_for_one_weight_the_change_is_that_of_the_full_matrix() -> None:
    model = nn.Sequential(nn.Linear(1, 3, bias=False), nn.Tanh(), nn.Linear(3, 2)).double()
    x = torch.randn(6, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    factors = kronecker_factors(model, [(x, LABELS.clamp(max=1))], options=PATCH, loss=F.cross_entropy)
    plan = sec.trace(model, (x,)).plan({"0": [1]})
    outputs = factors["0"].outputs + 1e-2 * factors["0"].outputs.diagonal().mean() * torch.eye(3, dtype=torch.float64)
    inputs = factors["0"].inputs[0] * 1.01
    weight = model.get_parameter("0.weight").detach()
    inverse = torch.linalg.inv(torch.kron(outputs, inputs))
    wanted = weight[:, 0] - weight[1, 0] / inverse[1, 1] * inverse[:, 1]
    found = compensated(model, plan, factors, by="weights", damping=1e-2).get_parameter("0.weight").detach()
    torch.testing.assert_close(found[[0, 2], 0], wanted[[0, 2]])
    torch.testing.assert_close(found[1, 0], weight[1, 0])


def test_a_compensated_model_is_cut_by_the_same_plan_also_on_branches() -> None:
    model = _model()
    graph = sec.trace(model, (_batches()[0][0],))
    scores = criteria.KronOBS(factors=PATCH)(graph, _batches(), F.cross_entropy)
    plan = sec.select(graph, scores, remove={"macs": 0.3}, kinds=KINDS)
    for by in ("filters", "weights"):
        made = compensated(model, plan, _factors(model), by="weights" if by == "weights" else "filters")
        assert sec.apply(made, plan).report.verified
    with pytest.raises(sec.PlanError, match="wanted 'filters' or 'weights'"):
        compensated(model, plan, _factors(model), by="rows")  # type: ignore[arg-type]
