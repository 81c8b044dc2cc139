"""Penalties against one unit after the other."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from secateurs import trace
from secateurs._errors import ConfigError, PlanError, TrainingError
from secateurs.graph import Graph
from secateurs.sparsity import GroupLasso, Growing, Penalty, ScaleLasso
from tests.sparsity._nets import NETS, make
from tests.sparsity._slow import gradients, group, groups


def _lasso(graph: Graph) -> Tensor:
    return 0.3 * torch.stack([len(own) ** 0.5 * own.norm() for own in groups(graph)]).sum()


def _plain(graph: Graph) -> Tensor:
    return 0.3 * torch.stack([own.norm() for own in groups(graph)]).sum()


def _producing(graph: Graph) -> Tensor:
    found = [own for own in groups(graph, ("produces",)) if len(own)]
    return 0.3 * torch.stack([len(own) ** 0.5 * own.norm() for own in found]).sum()


def _all_growing(graph: Graph) -> Tensor:
    return 0.03 / 2 * torch.stack([own.square().sum() for own in groups(graph)]).sum()


CASES: dict[str, tuple[Callable[[Graph], Penalty], Callable[[Graph], Tensor]]] = {
    "group_lasso": (lambda graph: GroupLasso(strength=0.3).on(graph), _lasso),
    "unweighted": (lambda graph: GroupLasso(strength=0.3, by_size=False).on(graph), _plain),
    "producing": (lambda graph: GroupLasso(strength=0.3, over="produce").on(graph), _producing),
    "growing": (lambda graph: Growing(increment=0.01, every=2).on(graph), _all_growing),
}
STEP = 5


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("net", NETS)
def test_values_and_gradients_are_those_of_units_one_by_one(net: str, name: str) -> None:
    model, x = make(net)
    graph = trace(model, args=(x,))
    made, slow = CASES[name]
    penalty, term = made(graph), slow(graph)
    assert penalty.value(STEP).item() == pytest.approx(term.item(), rel=1e-12)
    model(x).square().sum().backward()
    before = {
        path: parameter.grad.clone() for path, parameter in model.named_parameters() if parameter.grad is not None
    }
    penalty.add_gradients(STEP)
    wanted = gradients(model, term)
    for path, parameter in model.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad - before[path], wanted[path], rtol=1e-9, atol=1e-12)


def test_scales_are_pressed_one_by_one_and_nothing_else() -> None:
    model, x = make("resnet")
    penalty = ScaleLasso(strength=0.2).on(trace(model, args=(x,)))
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert penalty.value().item() == pytest.approx(0.2 * sum(float(norm.weight.detach().abs().sum()) for norm in norms))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    with torch.no_grad():
        norms[0].weight[1] = 0
        norms[0].weight[2] = -0.5
    penalty.add_gradients()
    scales = {id(norm.weight) for norm in norms}
    for parameter in model.parameters():
        assert parameter.grad is not None
        wanted = 0.2 * parameter.detach().sign() if id(parameter) in scales else torch.zeros_like(parameter)
        torch.testing.assert_close(parameter.grad, wanted)


def test_chosen_units_alone_are_pressed_harder_and_harder() -> None:
    model, x = make("resnet")
    graph = trace(model, args=(x,))
    axis = graph.axes[1]
    growing = Growing(increment=0.5, every=10, limit=0.8)
    assert [growing.factor(step) for step in (0, 9, 10, 1000)] == [0.5, 0.5, 0.8, 0.8]
    for chosen in ({axis.name: [0, 2]}, graph.plan({axis.name: [0, 2]})):
        penalty = growing.on(graph, chosen)
        model.zero_grad()
        model(x).sum().backward()
        before = {path: own.grad.clone() for path, own in model.named_parameters() if own.grad is not None}
        penalty.add_gradients(12)
        term = 0.8 / 2 * sum(group(graph, axis, unit).square().sum() for unit in (0, 2))
        assert isinstance(term, Tensor)
        wanted = gradients(model, term)
        for path, parameter in model.named_parameters():
            assert parameter.grad is not None
            torch.testing.assert_close(parameter.grad - before[path], wanted[path], rtol=1e-9, atol=1e-12)


def test_a_unit_that_is_zero_stays_so() -> None:
    model, x = make("loop")
    graph = trace(model, args=(x,))
    axis = graph.axes[0]
    with torch.no_grad():
        for member in axis.members:
            graph.tensor(member.path).index_fill_(member.dim, torch.tensor([int(member.positions[0])]), 0)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    penalty = GroupLasso(strength=1.0).on(graph)
    penalty.add_gradients()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    first = model.get_parameter("first.weight").grad
    assert first is not None
    assert not first[0].any()
    assert first[1].any()


def test_low_precision_weights_have_exact_norms() -> None:
    model, x = make("flattened")
    model = model.to(torch.bfloat16)
    graph = trace(model, args=(x.to(torch.bfloat16),))
    penalty = GroupLasso(strength=1.0).on(graph)
    assert penalty.norms().dtype == torch.float32
    wanted = sum(len(own) ** 0.5 * float(own.detach().double().norm()) for own in groups(graph))
    assert penalty.value().item() == pytest.approx(wanted, rel=1e-5)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    penalty.add_gradients()
    assert all(own.grad is not None and own.grad.dtype == torch.bfloat16 for own in model.parameters())


def test_frozen_parameters_are_left_alone_and_no_gradients_are_an_error() -> None:
    model, x = make("resnet")
    penalty = GroupLasso().on(trace(model, args=(x,)))
    with pytest.raises(TrainingError, match="gradients of the network that the penalty was made for"):
        penalty.add_gradients()
    model.get_parameter("linear.weight").requires_grad_(False)
    model(x).sum().backward()
    penalty.add_gradients()
    assert model.get_parameter("linear.weight").grad is None


def test_bad_options_are_named() -> None:
    model, x = make("loop")
    graph = trace(model, args=(x,))
    with pytest.raises(ConfigError, match="group_lasso strength: wanted a number above 0, got -1"):
        GroupLasso(strength=-1)
    with pytest.raises(ConfigError, match="group_lasso over"):
        GroupLasso(over="producers")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="growing every"):
        Growing(every=0)
    with pytest.raises(PlanError, match="norms that scale units"):
        ScaleLasso().on(graph)
    with pytest.raises(PlanError, match="nonesuch"):
        GroupLasso(protect=("nonesuch",)).on(graph)
    with pytest.raises(PlanError, match="parameters to draw to zero"):
        Growing().on(graph, {})
    with pytest.raises(PlanError, match="no such axis"):
        Growing().on(graph, {"nonesuch": [0]})
