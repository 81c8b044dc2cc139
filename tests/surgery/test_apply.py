"""The cut: copies and in place, ties, gradients, callers' modes, and one cut after another."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from secateurs import SecateursError
from secateurs.graph import trace
from secateurs.surgery import apply, load, relative_error, save
from tests.surgery._proof import LARGEST_ERROR, case, cut, outputs, randomised, third
from tests.surgery._state import unchanged
from tests.surgery.test_refused import trained
from tests.zoo import ZOO


def test_a_copy_leaves_the_original_alone() -> None:
    model, optimizer, plan, _ = trained()
    with unchanged(model, optimizer):
        result = apply(model, plan)
    assert result.optimizer is None
    assert result.plan is plan
    shared = {id(tensor) for tensor in (*model.parameters(), *model.buffers())}
    assert not shared & {id(tensor) for tensor in (*result.model.parameters(), *result.model.buffers())}


def test_in_place_parameters_stay_the_same_objects() -> None:
    model, _, plan, x = trained()
    before = dict([*model.named_parameters(), *model.named_buffers()])
    copied = apply(model, plan).model
    result = apply(model, plan, inplace=True)
    assert result.model is model
    after = dict([*model.named_parameters(), *model.named_buffers()])
    assert all(after[path] is tensor for path, tensor in before.items())
    assert all(path.endswith("secateurs_index") for path in after.keys() - before.keys())
    assert all(torch.equal(tensor, copied.state_dict()[path]) for path, tensor in model.state_dict().items())
    assert torch.equal(model.eval()(x), copied.eval()(x))


@pytest.mark.parametrize("inplace", [False, True])
def test_weights_and_gradients_are_the_kept_positions(inplace: bool) -> None:
    model, _, plan, _ = trained()
    grads = {path: p.grad.clone() for path, p in model.named_parameters() if p.grad is not None}
    weights = {path: tensor.clone() for path, tensor in model.state_dict().items()}
    smaller = apply(model, plan, inplace=inplace).model
    for path, tensor in smaller.state_dict().items():
        assert torch.equal(tensor, sliced(weights[path], plan.kept(path))), path
    for path, parameter in smaller.named_parameters():
        assert type(parameter) is nn.Parameter
        assert parameter.requires_grad
        if inplace:
            assert parameter.grad is not None
            assert torch.equal(parameter.grad, sliced(grads[path], plan.kept(path))), path
        else:
            assert parameter.grad is None, "copies of parameters have no gradients, as in torch"


def sliced(tensor: Tensor, kept: tuple[Tensor, ...]) -> Tensor:
    """The tensor at the kept positions of every dim."""
    for dim, index in enumerate(kept):
        tensor = tensor.index_select(dim, index)
    return tensor


@pytest.mark.parametrize("inplace", [False, True])
def test_flags_hooks_and_frozen_parameters_survive(inplace: bool) -> None:
    model, _, plan, x = trained()
    model.get_submodule("a1").requires_grad_(False)
    seen: list[Any] = []
    model.get_submodule("b2").register_forward_hook(lambda *call: seen.append(tuple(call[2].shape)))
    flags = {path: module.training for path, module in model.named_modules()}
    smaller = apply(model, plan, inplace=inplace).model
    assert {path: module.training for path, module in smaller.named_modules()} == flags
    assert [path for path, p in smaller.named_parameters() if not p.requires_grad] == ["a1.weight", "a1.bias"]
    seen.clear()
    smaller(x)
    assert seen == [(2, 5, 8, 8)]


@pytest.mark.parametrize("name", ["shared_weight", "tied_embedding", "reused_module"])
@pytest.mark.parametrize("inplace", [False, True])
def test_tied_weights_stay_tied(name: str, inplace: bool) -> None:
    model = randomised(ZOO[name].build)
    found = case(name)
    aliases = {path: id(p) for path, p in model.named_parameters(remove_duplicate=False)}
    smaller = apply(model, found.graph.plan(third(found.graph)), inplace=inplace, verify=False).model
    after = {path: id(p) for path, p in smaller.named_parameters(remove_duplicate=False)}
    assert [list(aliases.values()).index(i) for i in aliases.values()] == [
        list(after.values()).index(i) for i in after.values()
    ]


def test_layers_say_what_they_are() -> None:
    assert [str(module) for module in case("depthwise_multiplier").smaller.modules()][2:6] == [
        "Conv2d(3, 4, kernel_size=(1, 1), stride=(1, 1))",
        "Conv2d(4, 4, kernel_size=(3, 3), stride=(1, 1), groups=4)",
        "ReLU()",
        "Conv2d(4, 3, kernel_size=(1, 1), stride=(1, 1))",
    ]
    names = [str(module) for module in case("mlp_norms").smaller.modules()][1:]
    assert names[:6] == [
        "Linear(in_features=6, out_features=6, bias=True)",
        "BatchNorm1d(6, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
        "GELU(approximate='none')",
        "Dropout(p=0.5, inplace=False)",
        "Linear(in_features=6, out_features=5, bias=True)",
        "LayerNorm((5,), eps=1e-05, elementwise_affine=True, bias=True)",
    ]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("inplace", [False, True])
def test_models_cut_without_gradients_can_be_trained(mode: Callable[[], Any], inplace: bool) -> None:
    model, _, plan, x = trained()
    with mode():
        result = apply(model, plan, inplace=inplace)
    assert result.report.verified
    result.model.zero_grad()
    result.model.train()(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in result.model.parameters())


def test_an_empty_plan_changes_nothing_and_is_proved() -> None:
    model, _, plan, _ = trained()
    result = apply(model, plan.graph.plan({}))
    assert result.report.verified
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), result.model.parameters(), strict=True))


@pytest.mark.parametrize("name", ["residual", "encoder_norm_first", "grouped", "attention_matmul", "pad_shortcut"])
def test_cuts_follow_one_another_and_load_again(name: str, tmp_path: Path) -> None:
    found = case(name)
    model: nn.Module = found.model
    for _ in range(2):
        graph = trace(model, *found.call())
        plan = graph.plan({axis.name: [axis.size - 1] for axis in graph.axes if axis.size > 2})
        result = apply(model, plan)
        assert result.report.verified
        model = result.model
    save(result, tmp_path / "twice.safetensors")
    loaded = load(tmp_path / "twice.safetensors", lambda: found.entry.build().double()).eval()
    for one, two in zip(outputs(model, found.call()), outputs(loaded, found.call()), strict=True):
        assert torch.equal(one, two)
    again = apply(loaded, trace(loaded, *found.call()).plan({})).model
    save(again, tmp_path / "thrice.safetensors")
    assert load(tmp_path / "thrice.safetensors", lambda: found.entry.build().double()) is not None


def test_two_small_cuts_are_one_large_cut() -> None:
    found = case("residual")
    once = cut(found.model, found.graph.plan({"a1": [0, 2, 5], "stem": [1, 4]}))
    first = cut(found.model, found.graph.plan({"a1": [2], "stem": [4]}))
    twice = cut(first, trace(first, *found.call()).plan({"a1": [0, 4], "stem": [1]}))
    assert relative_error(outputs(once, found.call()), outputs(twice, found.call())) < LARGEST_ERROR
    assert all(torch.equal(a, b) for a, b in zip(once.parameters(), twice.parameters(), strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_types_survive(dtype: torch.dtype) -> None:
    model, (x,) = ZOO["residual"].build().to(dtype), ZOO["residual"].arguments(2)
    graph = trace(model, (x.to(dtype),))
    result = apply(model, graph.plan(third(graph)))
    assert result.report.verified
    assert {p.dtype for p in result.model.parameters()} == {dtype}


def test_the_result_does_not_keep_the_dense_model_alive() -> None:
    model, _, plan, _ = trained()
    smaller = apply(model, plan).model
    (kept,) = smaller._secateurs_plans  # type: ignore[misc]
    assert kept.graph is None
    assert kept == plan


@pytest.mark.parametrize("inplace", [False, True])
def test_channels_last_stays(inplace: bool) -> None:
    model, (x,) = ZOO["residual"].build(), ZOO["residual"].arguments(2)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    smaller = apply(model, trace(model, (x,)).plan({"a1": [0, 3]}), inplace=inplace).model
    assert smaller.get_parameter("a2.weight").is_contiguous(memory_format=torch.channels_last)
    assert not smaller.get_parameter("a2.weight").is_contiguous()


def test_a_model_that_cannot_be_copied_is_cut_in_place_only() -> None:
    model, (x,) = ZOO["residual"].build(), ZOO["residual"].arguments(2)
    model.lock = threading.Lock()  # type: ignore[assignment]
    plan = trace(model, (x,)).plan({"a1": [0, 3]})
    with pytest.raises(
        SecateursError, match=r"Residual: wanted a model that can be copied, got cannot pickle .*inplace"
    ):
        apply(model, plan)
    assert apply(model, plan, inplace=True, verify=False).model.get_parameter("a1.weight").shape[0] == 5
