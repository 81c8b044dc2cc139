"""Scatters in cut models: copies, other tools, training, a second cut."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from secateurs._errors import PlanError
from secateurs.criteria import Magnitude
from secateurs.graph import Plan, trace
from secateurs.models import build
from secateurs.selection import select
from secateurs.surgery import Result, apply, fill_random, load, relative_error, save
from tests.surgery._proof import assert_equal_masked, case, cut, outputs, randomised, third

INPUT = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def small_resnet() -> nn.Module:
    """A residual network with random weights."""
    model = build("resnet8", classes=10).eval()
    fill_random(model, seed=0)
    return model


@pytest.fixture(scope="module")
def result() -> Result:
    """That network with a third of every branch gone."""
    model = small_resnet()
    graph = trace(model, INPUT)
    return apply(model, graph.plan(third(graph, [axis.name for axis in graph.axes if axis.kind == "branch"])))


def test_the_cut_is_proved_and_smaller(result: Result) -> None:
    assert result.report.verified
    assert len(result.plan.scatters) == 4
    assert result.plan.cost.params < result.plan.before.params
    assert result.plan.cost == trace(result.model, INPUT).cost()


def test_paths_and_modules_stay(result: Result) -> None:
    model = small_resnet()
    assert list(result.model.state_dict()) == list(model.state_dict())
    assert [path for path, _ in result.model.named_modules()] == [path for path, _ in model.named_modules()]


@torch.no_grad()
def test_copies_and_other_types_scatter_too(result: Result) -> None:
    expected = result.model(INPUT)
    copied = copy.deepcopy(result.model)
    assert torch.equal(copied(INPUT), expected)
    assert relative_error([expected.double()], [copied.double()(INPUT.double())]) < 1e-4
    assert copied.to("meta")(INPUT.to("meta").double()).shape == expected.shape


@torch.no_grad()
def test_saved_scatters_come_back_with_the_plan(result: Result, tmp_path: Path) -> None:
    save(result, tmp_path / "small.safetensors")
    loaded = load(tmp_path / "small.safetensors", lambda: build("resnet8", classes=10)).eval()
    assert torch.equal(loaded(INPUT), result.model(INPUT))


@torch.no_grad()
def test_exported_programs_scatter(result: Result) -> None:
    program = torch.export.export(result.model, (INPUT,))
    assert torch.allclose(program.module()(INPUT), result.model(INPUT), atol=1e-5)


@torch.no_grad()
def test_compiled_models_scatter(result: Result) -> None:
    compiled = torch.compile(copy.deepcopy(result.model), backend="aot_eager", fullgraph=True)
    assert torch.allclose(compiled(INPUT), result.model(INPUT), atol=1e-5)


def test_gradients_reach_what_is_left(result: Result) -> None:
    model = copy.deepcopy(result.model).train()
    model(INPUT).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_hooks_see_the_whole_stream() -> None:
    model = small_resnet()
    seen: list[Tensor] = []
    block = model.get_submodule("layer1.0.bn2")
    block.register_forward_hook(lambda module, args, output: seen.append(output))
    graph = trace(model, INPUT)
    smaller = apply(model, graph.plan({"layer1.0.conv2:branch": [1, 3]})).model
    seen.clear()
    smaller(INPUT)
    assert seen[0].shape[1] == 16
    assert not seen[0][:, [1, 3]].any()


def test_in_place_with_momentum() -> None:
    model = small_resnet().train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(INPUT).square().sum().backward()
    optimizer.step()
    graph = trace(model, INPUT)
    plan = graph.plan({"layer1.0.conv2:branch": [1, 3]})
    done = apply(model, plan, optimizer=optimizer, inplace=True)
    assert done.model is model
    weight = model.get_parameter("layer1.0.conv2.weight")
    assert weight.shape[0] == optimizer.state[weight]["momentum_buffer"].shape[0] == 14
    optimizer.zero_grad()
    model(INPUT).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("name", ["residual", "branch_read_twice", "branch_columns", "branch_turned", "branch_upward"])
def test_branches_and_streams_can_be_cut_again(name: str) -> None:
    found = case(name)
    own = [axis.name for axis in found.graph.axes if axis.kind == "branch"]
    first = cut(found.model, found.graph.plan(third(found.graph, own)))
    graph = trace(first, *found.call())
    assert [axis.name for axis in graph.axes if axis.kind == "branch"] == own
    for names in (own, [axis.name for axis in graph.axes if axis.kind != "branch"]):
        plan = graph.plan(third(graph, names))
        second = cut(first, plan)
        assert plan.scatters == ()
        assert_equal_masked(first, second, plan, found.call())
        assert plan.cost == trace(second, *found.call()).cost()


def test_a_second_scatter_on_a_module_is_refused() -> None:
    model = randomised(lambda: build("resnet8", classes=10))
    plan = trace(model, INPUT.double()).plan({"layer1.0.conv2:branch": [1, 3]})
    smaller = cut(model, plan)
    content = json.loads(json.dumps(plan.to_json())) | {"shapes": {}, "cuts": [], "edits": []}
    with pytest.raises(PlanError, match=r"layer1\.0\.bn2: wanted a module whose output is not scattered yet"):
        apply(smaller, Plan.from_json(content), verify=False)


def test_branches_take_part_when_asked_for() -> None:
    model = small_resnet()
    graph = trace(model, INPUT)
    scores = Magnitude()(graph)
    assert not select(graph, scores, {"macs": 0.3}).scatters
    plan = select(graph, scores, {"macs": 0.1}, kinds=["branch"])
    assert plan.scatters
    assert all(name.endswith(":branch") for name in plan.removed)
    assert plan.cost.macs <= 0.9 * plan.before.macs
    assert apply(model, plan).report.verified


@pytest.mark.parametrize("scope", ["global", "layerwise", {"*": 0.7}])
def test_a_branch_that_would_lose_everything_keeps_its_best_unit(scope: Any) -> None:
    model = small_resnet()
    graph = trace(model, INPUT)
    ascending = {axis.name: torch.arange(axis.size).double() for axis in graph.axes}
    opposite = {axis.name: ascending[axis.name].flip(0) for axis in graph.axes if axis.kind == "branch"}
    plan = select(graph, ascending | opposite, {"macs": 0.9}, scope=scope, kinds=["channel", "branch"])
    assert 1 in {len(plan.kept(f"{name.removesuffix(':branch')}.weight")[0]) for name in opposite}
    assert apply(model, plan).report.verified


def test_protecting_a_layer_protects_its_branch() -> None:
    graph = trace(small_resnet(), INPUT)
    plan = select(graph, Magnitude()(graph), {"macs": 0.1}, kinds=["branch"], protect=["layer3.0.conv2"])
    assert "layer3.0.conv2:branch" not in plan.removed


def test_a_replayed_plan_masks_as_it_cuts(result: Result) -> None:
    model = small_resnet()
    replayed = Plan.from_json(json.loads(json.dumps(result.plan.to_json())))
    assert replayed == result.plan
    again = apply(model, replayed)
    assert again.report.verified
    assert relative_error(outputs(result.model, ((INPUT,), {})), outputs(again.model, ((INPUT,), {}))) == 0
