"""Every model of the zoo and of the table, cut in every way, against every oracle."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from secateurs.graph import Plan, tensors_of, trace
from secateurs.models import TABLE
from secateurs.surgery import load, masked, relative_error, save
from tests.surgery._proof import (
    LARGEST_ERROR,
    Case,
    alone,
    assert_equal_masked,
    case,
    cut,
    in_float64,
    outputs,
    table_case,
    third,
    zeroed,
)
from tests.zoo import ZOO

PRUNABLE = [name for name in ZOO if ZOO[name].axes]
TABLED = [name for name in TABLE if name not in ("vae64", "resnet38", "resnet74")]
"""Networks of the table that are proved; those left out are vae28 at sixty times its size, and further depths."""
SMALL = ("mlp", "conv2", "resnet8", "resnet20", "vae28")
"""Networks of the table that are cut along each axis alone in the fast suite."""


@pytest.fixture(scope="module", params=[*PRUNABLE, *[f"table:{name}" for name in TABLED]])
def found(request: pytest.FixtureRequest) -> Case:
    """One model after the other, for all tests in this file."""
    kind, _, name = request.param.rpartition(":")
    return table_case(name) if kind else case(name)


def test_expected_axes_are_there(found: Case) -> None:
    assert {axis.name: axis.size for axis in found.graph.axes}.items() >= found.entry.axes.items()
    for pattern in found.entry.fixed:
        assert any(re.search(pattern, str(entry)) for entry in found.graph.fixed), pattern


def test_all_axes_together_equal_masked(found: Case) -> None:
    assert_equal_masked(found.model, found.smaller, found.plan, found.call())
    if found.entry.other_batch is not None:
        assert_equal_masked(found.model, found.smaller, found.plan, found.call(found.entry.other_batch))


def test_planned_cost_is_the_count_of_the_cut_model(found: Case) -> None:
    counted = trace(found.smaller, *found.call())
    assert found.graph.cost(found.plan) == found.plan.cost == counted.cost()
    assert found.graph.operations(found.plan) == counted.operations()


@pytest.mark.parametrize("name", [*PRUNABLE, *[f"table:{name}" for name in SMALL]])
def test_each_axis_alone_equals_masked(name: str) -> None:
    assert_each_axis(table_case(name.removeprefix("table:")) if name.startswith("table:") else case(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TABLED if name not in SMALL])
def test_each_axis_of_a_large_model_alone_equals_masked(name: str) -> None:
    assert_each_axis(table_case(name))


def assert_each_axis(found: Case) -> None:
    for names in alone(found.graph):
        plan = found.graph.plan(third(found.graph, names))
        smaller = cut(found.model, plan)
        assert_equal_masked(found.model, smaller, plan, found.call())
        assert plan.cost == trace(smaller, *found.call()).cost(), names


def test_exact_axes_equal_zeroed_weights(found: Case) -> None:
    """The second oracle.

    Zeroed weights neither make a unit nor read it, so it holds for any activation, also where f(0) is not zero. It
    says nothing where a sum without weights reads units that are not zero; such models say so, and are held to it.
    """
    exact = [axis.name for axis in found.graph.axes if axis.exact or found.entry.zeroing]
    if not exact:
        pytest.skip("every axis crosses a statistic")
    plan = found.graph.plan(third(found.graph, exact))
    expected = outputs(zeroed(found.model, plan), found.call())
    agree = relative_error(expected, outputs(cut(found.model, plan), found.call())) < LARGEST_ERROR
    assert agree == (not found.entry.zeroing)


def test_saved_and_loaded_gives_the_same_outputs(found: Case, tmp_path: Path) -> None:
    save(found.smaller, tmp_path / "small.safetensors")
    loaded = load(tmp_path / "small.safetensors", lambda: _other_weights(found)).eval()
    for one, two in zip(outputs(found.smaller, found.call()), outputs(loaded, found.call()), strict=True):
        assert torch.equal(one, two)


def _other_weights(found: Case) -> nn.Module:
    """What a factory makes: the same class, other weights; tensors that are not saved come from its code."""
    model = in_float64(found.entry.build())
    tensors = tensors_of(found.model)
    with torch.no_grad():
        for path, tensor in tensors_of(model).items():
            if path in found.plan.shapes and path not in found.model.state_dict():
                tensor.copy_(tensors[path])
    return model


def test_replayed_plan_gives_the_same_weights(found: Case, tmp_path: Path) -> None:
    found.plan.save(tmp_path / "plan.json")
    replayed = Plan.load(tmp_path / "plan.json")
    assert replayed == found.plan
    assert str(replayed) == str(found.plan)
    one, two = found.smaller, cut(found.model, replayed)
    assert {path: type(module) for path, module in one.named_modules()} == {
        path: type(module) for path, module in two.named_modules()
    }
    first, second = _kept_tensors(one, found.plan), _kept_tensors(two, found.plan)
    assert first.keys() == second.keys()
    assert all(torch.equal(tensor, second[path]) for path, tensor in first.items())


def _kept_tensors(model: nn.Module, plan: Plan) -> dict[str, torch.Tensor]:
    """Parameters and buffers, and plain attributes that the plan cuts; others change with every call."""
    paths = {*dict(model.named_parameters()), *dict(model.named_buffers()), *(entry.path for entry in plan.cuts)}
    return {path: tensor for path, tensor in tensors_of(model).items() if path in paths}


@pytest.mark.parametrize("name", ["residual", "encoder_norm_first", "grouped", "data_dependent", "keywords"])
def test_replayed_plan_masks_without_its_graph(name: str, tmp_path: Path) -> None:
    example = case(name)
    example.plan.save(tmp_path / "plan.json")
    with masked(example.model, Plan.load(tmp_path / "plan.json")) as model:
        again = outputs(model, example.call())
    with masked(example.model, example.plan) as model:
        expected = outputs(model, example.call())
    assert relative_error(expected, again) == 0


@pytest.mark.parametrize("name", [name for name in ZOO if not ZOO[name].axes])
def test_what_cannot_be_cut_says_why(name: str) -> None:
    for pattern in ZOO[name].fixed:
        assert any(re.search(pattern, str(entry)) for entry in case(name).graph.fixed), pattern
