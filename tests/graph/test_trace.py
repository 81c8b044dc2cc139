"""Tracing: what it finds, what it says, and that it leaves the model as it was."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs import SecateursError
from secateurs.graph import Graph, trace
from tests.surgery._state import unchanged
from tests.zoo import ZOO


def test_table_reads_as_expected() -> None:
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.GroupNorm(1, 6), nn.Flatten(), nn.Linear(24, 4))
    assert str(trace(model, torch.randn(2, 3, 4, 4))).splitlines() == [
        "axis                                        kind        units  exact  members",
        "0                                           channel         6  no           5",
        "",
        "1 axes, 6 units",
        "",
        "not prunable:",
        "  0.weight[1]: reads an input of the model (aten.convolution in 0)",
        "  3.weight[0]: an output of the model",
        "  3.bias[0]: an output of the model",
    ]


@pytest.mark.parametrize("name", ["dense_concatenation", "encoder", "grouped_query_expand", "write_slice"])
def test_tracing_again_gives_the_same_names_reasons_and_costs(name: str) -> None:
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        graph = trace(ZOO[name].build(), ZOO[name].arguments(2))
        found.append((str(graph), graph.cost(), [str(entry) for entry in graph.fixed]))
    assert found[0] == found[1]


def test_float32_and_float64_give_the_same_axes() -> None:
    model, (x,) = ZOO["residual"].build(), ZOO["residual"].arguments(2)
    assert str(trace(model, (x,))) == str(trace(model.double(), (x.double(),)))


# ---------------------------------------------------------------------- what is left alone


class Stateful(nn.Module):
    """Everything that code can change while it runs."""

    def __init__(self, how: str = "") -> None:
        super().__init__()
        self.how = how
        self.first, self.norm, self.drop = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5)
        self.attention, self.last = nn.MultiheadAttention(8, 2), nn.Linear(8, 4)
        self.cache: dict[str, Any] = {"kept": torch.ones(3), "nested": [{}]}
        self.seen: list[Any] = []
        self.plain = torch.arange(8.0)
        self.made: Tensor | None = None
        self.calls = 0
        self.register_buffer("counter", torch.zeros(()))
        self.register_buffer("history", torch.zeros(8))

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "raises":
            self.calls += 1
            raise RuntimeError("the model's own complaint\nin two lines")
        if self.how == "values" and float(x.sum()) > 1e9:
            return x
        x = self.norm(self.first(x))
        self.calls += 1
        self.made = x * 2
        self.cache["x"] = x
        self.cache["nested"][0]["x"] = x
        self.seen.append(x)
        self.get_buffer("counter").add_(1)
        self.get_buffer("history").copy_(x.detach().mean(0))
        x = self.drop(x + self.plain.to(x.dtype))
        x = self.attention(x, x, x, need_weights=False)[0]
        out: Tensor = self.last(x) + torch.rand(1)
        return out


def prepared(how: str = "") -> Stateful:
    """Mixed flags, gradients, hooks, frozen parameters."""
    model = Stateful(how)
    model.train()
    model.drop.eval()
    model.attention.out_proj.eval()
    model.first.weight.requires_grad_(False)
    model.last.weight.grad = torch.ones(4, 8)
    model.norm.register_forward_hook(_ignore)
    model.first.register_forward_pre_hook(_ignore)
    return model


def _ignore(*_args: Any) -> None:
    return None


def plain_state(model: Stateful) -> list[Any]:
    """Identities behind the attributes that code caches in."""
    nested = model.cache["nested"]
    return [
        id(model.cache),
        list(model.cache),
        id(nested),
        id(nested[0]),
        dict(nested[0]),
        list(model.seen),
        model.made,
    ]


@pytest.mark.parametrize("how", ["", "values"])
def test_a_traced_model_is_as_it_was(how: str) -> None:
    model, x = prepared(how), torch.randn(3, 6)
    before, given = plain_state(model), x.clone()
    with unchanged(model):
        graph = trace(model, (x,))
    assert plain_state(model) == before
    assert type(model.calls) is int
    assert type(model.cache["kept"]) is Tensor
    assert torch.equal(x, given)
    assert "attention.in_proj:head" in [axis.name for axis in graph.axes]


def test_a_model_that_raises_is_as_it_was() -> None:
    model, x = prepared("raises"), torch.randn(3, 6)
    with unchanged(model), pytest.raises(SecateursError, match=r"Stateful: wanted a model that runs.*own complaint \("):
        trace(model, (x,))
    assert model.calls == 0


@pytest.mark.parametrize("enabled", [True, False])
def test_fast_path_flag_comes_back(enabled: bool) -> None:
    before = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(enabled)
        trace(prepared(), (torch.randn(3, 6),))
        assert torch.backends.mha.get_fastpath_enabled() is enabled
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def test_a_real_run_does_not_write_into_the_example() -> None:
    class Writing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            x.add_(1)
            out: Tensor = self.last(self.first(x)) * float(x.sum())
            return out

    x = torch.zeros(2, 6)
    assert [axis.name for axis in trace(Writing(), (x,)).axes] == ["first"]
    assert x.abs().max() == 0


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize("name", ["mlp_norms", "residual", "encoder_batch_first", "data_dependent"])
def test_the_callers_mode_does_not_matter(mode: Callable[[], Any], name: str) -> None:
    entry = ZOO[name]
    expected = str(trace(entry.build(), entry.arguments(2)))
    with mode():
        assert str(trace(entry.build(), entry.arguments(2))) == expected


def test_frozen_parameters_are_axes_like_others_and_take_no_backward_operations() -> None:
    model, x = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)), torch.randn(2, 6)
    free = trace(model, x)
    model.requires_grad_(False)
    frozen = trace(model, x)
    assert str(free) == str(frozen)
    assert frozen.cost().train_gops == 2 * frozen.cost().macs / 1e9
    assert free.cost().train_gops > frozen.cost().train_gops


def test_a_module_that_needs_real_tensors_is_run_for_real() -> None:
    class Foreign(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            scale = float(x.detach().numpy().max())
            out: Tensor = self.last(torch.relu(self.first(x)) * scale)
            return out

    assert [axis.name for axis in trace(Foreign(), torch.randn(2, 6)).axes] == ["first"]


# ---------------------------------------------------------------------- what is said


@pytest.mark.parametrize("model", [nn.Linear, "resnet", None])
def test_only_modules_are_traced(model: Any) -> None:
    with pytest.raises(SecateursError, match=r"trace: wanted a torch\.nn\.Module, got \w+\. Pass the module itself"):
        trace(model, (torch.randn(2, 6),))


def test_a_wrong_input_names_the_module_the_reason_and_the_shapes() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.Sequential(nn.ReLU(), nn.Linear(9, 4)))
    with pytest.raises(SecateursError, match=r"Sequential, module 1\.1: wanted .*input shapes \[\(2, 6\)\]\)\. Call"):
        trace(model, (torch.randn(2, 6),))
    with pytest.raises(SecateursError, match=r"TypeError: .*argument"):
        trace(model)


def test_modules_that_cannot_be_read_are_refused() -> None:
    lazy = nn.Sequential(nn.Linear(6, 8), nn.LazyLinear(4))
    with pytest.raises(SecateursError, match=r"1\.weight: wanted a tensor with a shape, got a lazy .* Call"):
        trace(lazy, torch.randn(2, 6))
    lazy(torch.randn(2, 6))
    assert [axis.name for axis in trace(lazy, torch.randn(2, 6)).axes] == ["0"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = nn.Sequential(torch.jit.script(nn.Linear(6, 8)))
    with pytest.raises(SecateursError, match=r"0: wanted a module in Python, got a TorchScript module"):
        trace(scripted, torch.randn(2, 6))


def test_outputs_are_free_on_request() -> None:
    model, x = nn.Sequential(nn.Linear(6, 8), nn.ReLU()), torch.randn(2, 6)
    assert [axis.name for axis in trace(model, x).axes] == []
    assert [axis.name for axis in trace(model, x, free_outputs=True).axes] == ["0"]


def reasons(graph: Graph, path: str) -> list[str]:
    """Why positions of a parameter stay."""
    return [entry.why for entry in graph.fixed if entry.path == path]


def test_unused_parameters_say_so() -> None:
    graph = trace(ZOO["unused"].build(), ZOO["unused"].arguments(2))
    assert set(reasons(graph, "spare.weight")) == {"not used in the traced call"}


@torch.library.custom_op("secateurs_tests::mix", mutates_args=())
def mix(x: Tensor, y: Tensor) -> Tensor:
    """An operator that nobody knows."""
    return x.flip(-1) * y


@mix.register_fake
def _(x: Tensor, y: Tensor) -> Tensor:
    return torch.empty_like(x)


class Unknown(nn.Module):
    """A foreign operator between layers; another branch does not touch it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(6, 9)
        self.mixed, self.after, self.side = nn.Linear(8, 7), nn.Linear(7, 4), nn.Linear(9, 4)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.mixed(mix(self.first(x), self.second(x)))
        out: Tensor = self.after(F.relu(mixed)) + self.side(self.third(x))
        return out


def test_an_operator_without_a_rule_fixes_exactly_what_it_touches() -> None:
    graph = trace(Unknown(), torch.randn(2, 6))
    axes = {axis.name: axis.size for axis in graph.axes if axis.kind != "branch"}
    assert axes == {"mixed": 7, "third": 9}
    for path in ("first.weight", "second.weight", "first.bias"):
        assert "operator without a rule (secateurs_tests.mix)" in reasons(graph, path)
    assert reasons(graph, "mixed.weight") == ["reads a dimension that cannot be cut (aten.addmm in mixed)"]
    assert graph.cost().uncounted["secateurs_tests.mix"] == 1


def test_nothing_is_warned_about() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for name in ("residual", "encoder", "embedding_bag", "instance_norm_plain"):
            trace(ZOO[name].build(), ZOO[name].arguments(2))
    assert said == []


def test_members_say_where_an_axis_is() -> None:
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(24, 4))
    (axis,) = trace(model, torch.randn(2, 3, 4, 4)).axes
    assert [(member.path, member.dim, member.role, len(member.positions)) for member in axis.members] == [
        ("0.weight", 0, "produces", 6),
        ("0.bias", 0, "scales", 6),
        ("1.weight", 0, "scales", 6),
        ("1.bias", 0, "scales", 6),
        ("3.weight", 1, "reads", 24),
        ("1.running_mean", 0, "scales", 6),
        ("1.running_var", 0, "scales", 6),
    ]
    assert axis.members[4].units.tolist() == [unit for unit in range(6) for _ in range(4)]
