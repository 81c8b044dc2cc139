"""One operator at a time: what it lets through, what it ties, what it fixes; and that a cut through it is right."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs.graph import Graph, trace
from secateurs.graph.rules import RULES, register, rule_for
from secateurs.surgery import relative_error
from tests.surgery._proof import LARGEST_ERROR, assert_equal_masked, cut, outputs, randomised, third, zeroed

Function = Callable[[Tensor, Tensor], Tensor]
WIDTH = 12


class Through(nn.Module):
    """Two layers of 12 units, an operator on both, and a layer that reads what comes out."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function
        self.first, self.second = nn.Linear(6, WIDTH), nn.Linear(6, WIDTH)
        with torch.no_grad():
            example = torch.rand(2, WIDTH) + 0.1
            width = function(example, example).flatten(1).shape[1]
        self.last = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.function(self.first(x), self.second(x))
        out: Tensor = self.last(y.flatten(1))
        return out


def traced(function: Function) -> Graph:
    """The graph, on a model in float64 with random weights."""
    model = randomised(lambda: Through(function))
    return trace(model, torch.randn(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))


def sizes(graph: Graph) -> dict[str, int]:
    """Axes by name, without those of single producers."""
    return {axis.name: axis.size for axis in graph.axes if axis.kind != "branch"}


def prove(graph: Graph) -> None:
    """All axes together, another batch size, and the second oracle for exact axes."""
    plan = graph.plan(third(graph))
    model = graph.model
    for batch in (2, 5):
        x = torch.randn(batch, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(batch))
        assert_equal_masked(model, cut(model, plan), plan, ((x,), {}))
    exact = [axis.name for axis in graph.axes if axis.exact]
    plan = graph.plan(third(graph, exact))
    call: tuple[Any, Any] = (graph.args, {})
    assert relative_error(outputs(zeroed(model, plan), call), outputs(cut(model, plan), call)) < LARGEST_ERROR
    assert graph.cost(plan) == trace(cut(model, plan), graph.args).cost()


ONE: dict[str, Function] = {
    "tanh": lambda x, y: x.tanh() + y,
    "sigmoid_product": lambda x, y: x.sigmoid() * y,
    "division": lambda x, y: x / (y.abs() + 1),
    "power": lambda x, y: (x.abs() + 1) ** 1.5 + y,
    "where": lambda x, y: torch.where(x > 0, x, y),
    "where_scalar": lambda x, y: torch.where(x > 0, x, 0.5) + y,
    "maximum": torch.maximum,
    "lerp": lambda x, y: torch.lerp(x, y, 0.3),
    "addcmul": lambda x, y: torch.addcmul(x, x, y, value=0.5),
    "clamp_tensor": lambda x, y: x.clamp(min=y),
    "masked_fill": lambda x, y: x.masked_fill(y > 0, 0.1),
    "fmod": lambda x, y: torch.fmod(x, 0.7) + y,
    "atan2": torch.atan2,
    "cast": lambda x, y: (x.float().to(x.dtype) * 0 + x) + y,
    "comparison": lambda x, y: (x > y).to(x.dtype) + x,
    "dropout": lambda x, y: F.dropout(x, 0.5, training=False) + F.dropout1d(y[:, :, None], 0.5, False)[:, :, 0],
    "nan_to_num": lambda x, y: torch.nan_to_num(x) + y.detach(),
    "negative_views": lambda x, y: x.unsqueeze(-1).squeeze(-1) + y[None][0].contiguous().clone(),
    "constants": lambda x, y: torch.zeros_like(x) + torch.full_like(y, 2.0) * x + y,
    "in_place": lambda x, y: x.add_(y).mul_(0.5).neg_().sigmoid_(),
    "transposes": lambda x, y: (x.t() + y.T).transpose(0, 1).swapaxes(0, 1).permute(1, 0).mT.t(),
    "flip_twice": lambda x, y: x.flip(-1).flip(1) + y,
    "flip_once": lambda x, y: x.flip(1) + y.flip(1),
    "stack": lambda x, y: torch.stack([x, y], 1),
    "stack_last": lambda x, y: torch.stack([x, y], -1),
    "column_stack": lambda x, y: torch.hstack([x + y, y]),
    "repeat": lambda x, y: (x + y).repeat(1, 3),
    "repeat_interleave": lambda x, y: (x + y).repeat_interleave(3, 1),
    "tile": lambda x, y: torch.tile(x + y, (1, 2)),
    "expand": lambda x, y: (x + y)[:, None].expand(-1, 3, -1),
    "broadcast": lambda x, y: x + y.mean(1, keepdim=True),
    "expand_as": lambda x, y: x * y.sum(1, keepdim=True).expand_as(x) + y,
    "sum_all": lambda x, y: (x * y).sum(1, keepdim=True) * torch.ones(1, 4, dtype=x.dtype),
    "mean": lambda x, y: (x + y).mean(-1, keepdim=True),
    "variance": lambda x, y: (x + y).var(1, keepdim=True),
    "standard_deviation": lambda x, y: (x + y).std(1, unbiased=False, keepdim=True),
    "extremes": lambda x, y: (x + y).amax(1, keepdim=True) - (x * y).amin(1, keepdim=True),
    "logsumexp": lambda x, y: (x + y).logsumexp(1, keepdim=True),
    "norm": lambda x, y: (x + y).norm(dim=1, keepdim=True),
    "vector_norm": lambda x, y: torch.linalg.vector_norm(x + y, 1, dim=1, keepdim=True),
    "normalize": lambda x, y: F.normalize(x + y, dim=1),
    "softmax_over_rows": lambda x, y: x.softmax(0) + y,
    "cumulative_over_rows": lambda x, y: x.cumsum(0) + y,
    "layer_norm": lambda x, y: F.layer_norm(x + y, x.shape[1:]),
    "outer": lambda x, y: (x[:, :, None] * y[:, None, :]).sum(2),
    "matrix_product": lambda x, y: torch.bmm(x[:, None], y[:, :, None]).flatten(1),
    "einsum": lambda x, y: torch.einsum("bi,bi->b", x, y)[:, None],
    "einsum_outer": lambda x, y: torch.einsum("bi,bj->bij", x, y).sum(2) + y,
    "baddbmm": lambda x, y: torch.baddbmm(x[:, None], y.sum(1)[:, None, None], y[:, None]),
    "dot": lambda x, y: torch.dot(x[0], y[0]) * torch.ones(x.shape[0], 2, dtype=x.dtype),
    "inner": lambda x, y: torch.linalg.vecdot(x, y)[:, None],
    "fold_to_image": lambda x, y: F.avg_pool2d((x + y)[:, :, None, None].expand(-1, -1, 4, 4), 2),
    "upsample": lambda x, y: F.interpolate((x + y)[:, :, None], scale_factor=2.0),
    "pad_space": lambda x, y: F.pad((x + y)[:, :, None], (1, 1), mode="replicate"),
    "max_pool_indices": lambda x, y: F.max_pool1d((x + y)[:, :, None].expand(-1, -1, 6), 2, return_indices=True)[0],
    "chunk_tie": lambda x, y: torch.cat([x.chunk(3, 1)[2], y.chunk(3, 1)[0]], 1),
    "unflatten": lambda x, y: (x + y).unflatten(1, (3, -1)).transpose(1, 2),
    "steps": lambda x, y: torch.cat([(x + y)[:, 1::2], x[:, ::2]], 1),
    "roll": lambda x, y: x.roll(1, 1) + y,
    "triangle": lambda x, y: (x[:, :, None] * y[:, None]).triu(1).sum(1),
    "diagonal": lambda x, y: torch.diagonal(x[:, :, None] * y[:, None], 0, 1, 2),
    "windows": lambda x, y: (x + y)[:, :, None].expand(-1, -1, 5).unfold(2, 2, 1).flatten(1),
    "broadcast_tensors": lambda x, y: x + torch.broadcast_tensors(x[:1], y)[0] + y,
}


@pytest.mark.parametrize("name", ONE)
def test_units_pass_and_the_cut_is_right(name: str) -> None:
    graph = traced(ONE[name])
    assert "first" in {axis.name.partition(":")[0] for axis in graph.axes}, str(graph)
    prove(graph)


FIXED: dict[str, tuple[Function, str]] = {
    "softmax": (lambda x, y: (x + y).softmax(1), r"positions along it compete \(aten\._softmax\)"),
    "cumsum": (lambda x, y: (x + y).cumsum(1), r"positions along it compete \(aten\.cumsum\)"),
    "sort": (lambda x, y: (x + y).sort(1).values, r"positions along it compete \(aten\.sort\)"),
    "topk": (lambda x, y: (x + y).topk(3, 1).values, r"positions along it compete \(aten\.topk\)"),
    "argmax": (lambda x, y: (x + y).argmax(1, keepdim=True).to(x.dtype), r"one position of it is picked"),
    "median": (lambda x, y: (x + y).median(1, keepdim=True).values, r"one position of it is picked"),
    "select": (lambda x, y: (x + y)[:, 3:4] * (x + y)[:, 2][:, None], r"selected by number|written in the code"),
    "narrow": (lambda x, y: (x + y).narrow(1, 2, 5), r"size \d+ is written in the code at .*test_rules\.py:\d+"),
    "split": (lambda x, y: (x + y).split([5, 7], 1)[1], r"size \d is written in the code at .*test_rules\.py:\d+"),
    "view": (lambda x, y: (x + y).view(-1, 3, 4).softmax(1), r"size \d is written in .*test_rules\.py:\d+ \(view\)"),
    "roll": (lambda x, y: (x + y).roll(1, 1), r"shifts\[0\]=1 is written in the code at .*test_rules\.py:\d+"),
    "gather": (
        lambda x, y: (x + y).gather(1, torch.zeros(x.shape[0], 2, dtype=torch.long)),
        r"indexed at .*test_rules\.py:\d+ by numbers .*\(aten\.gather\)",
    ),
    "index": (
        lambda x, y: (x + y)[:, torch.tensor([1, 0])],
        r"indexed at .*test_rules\.py:\d+ by numbers .*\(aten\.index\)",
    ),
    "literal_constant": (lambda x, y: x + y + torch.arange(12.0, dtype=x.dtype), r"cannot be cut \(aten\.add\)"),
    "crop": (lambda x, y: F.pad(x + y, (-1, -1)), r"cropped by a pad of negative size"),
    "pad": (lambda x, y: F.pad(x + y, (1, 0)).softmax(1), r"positions along it compete"),
    "convolved": (
        lambda x, y: F.conv1d((x + y)[:, None], torch.ones(1, 1, 3, dtype=x.dtype)),
        r"a convolution slides along it \(aten\.convolution\)",
    ),
    "pooled": (lambda x, y: F.avg_pool1d((x + y)[:, None], 2), r"resampled along it"),
    "number": (lambda x, y: F.avg_pool1d(x + y, x.shape[1]), r"its size is used as a number at .*test_rules\.py:\d+"),
    "compared": (
        lambda x, y: x + y if x.shape[1] == 12 else x,
        r"the code at .*test_rules\.py:\d+ \(==\) gives 12.* where the cut leaves 11",
    ),
}


@pytest.mark.parametrize("name", FIXED)
def test_units_stay_with_the_reason(name: str) -> None:
    function, reason = FIXED[name]
    found = [str(entry) for entry in traced(function).fixed if entry.path in ("first.weight", "first.bias")]
    assert any(re.search(reason, entry) for entry in found), found


def test_a_partly_fixed_dim_is_cut_elsewhere() -> None:
    graph = traced(lambda x, y: torch.cat([(x + y)[:, :5].softmax(1), (x + y)[:, 5:]], 1))
    assert sizes(graph) == {"first": 7}
    assert any("(5 of 12)" in str(entry) for entry in graph.fixed if entry.path == "first.weight")
    prove(graph)


def test_values_that_the_code_looks_at_stay() -> None:
    graph = traced(lambda x, y: x + y if torch.equal(x, x) else y)
    assert sizes(graph) == {}
    assert any("its values are looked at (aten.equal)" in str(entry) for entry in graph.fixed)


def test_two_axes_where_dims_do_not_meet() -> None:
    graph = traced(lambda x, y: torch.cat([x.tanh(), y], 1))
    assert sizes(graph) == {"first": WIDTH, "second": WIDTH}
    prove(graph)


ACTIVATIONS = [
    *[nn.CELU(), nn.ELU(), nn.GELU(), nn.GELU("tanh"), nn.Hardshrink(), nn.Hardsigmoid(), nn.Hardswish()],
    *[nn.Hardtanh(), nn.LeakyReLU(), nn.LogSigmoid(), nn.Mish(), nn.RReLU(), nn.ReLU(), nn.ReLU6(), nn.SELU()],
    *[nn.Sigmoid(), nn.SiLU(), nn.Softplus(), nn.Softshrink(), nn.Softsign(), nn.Tanh(), nn.Tanhshrink()],
    *[nn.Threshold(0.1, 0.2), nn.PReLU(), nn.Identity(), nn.Dropout(), nn.AlphaDropout()],
]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_every_activation_lets_units_pass(activation: nn.Module) -> None:
    graph = traced(lambda x, y: activation.to(x.dtype).eval()(x) + y)
    assert list(sizes(graph)) == ["first"], str(graph)


@pytest.mark.parametrize("tracked", [False, True])
def test_batch_norm_of_an_outside_module(tracked: bool) -> None:
    """Weights that are no parameters of the model cannot be cut: they are taken for constants."""
    norm = nn.BatchNorm1d(WIDTH, track_running_stats=tracked, affine=tracked).eval()
    graph = traced(lambda x, y: norm.to(x.dtype)(x + y))
    assert list(sizes(graph)) == ([] if tracked else ["first"])


def test_a_call_that_its_rule_does_not_fit_fixes_what_it_touches(monkeypatch: pytest.MonkeyPatch) -> None:
    def misfit(call: Any) -> None:
        raise IndexError("a form that nobody thought of")

    rule_for.cache_clear()
    monkeypatch.setitem(RULES, "aten::_softmax", misfit)
    net = nn.Sequential(nn.Linear(3, 6), nn.Softmax(1), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    graph = trace(net, (torch.randn(2, 3),))
    rule_for.cache_clear()
    assert list(sizes(graph)) == ["2"]
    assert any("_softmax" in entry.why for entry in graph.fixed if entry.path == "0.weight")


def test_a_fixed_factor_of_a_product_is_reported() -> None:
    class Literal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(3, 12), nn.Linear(12, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.first(x).view(x.shape[0], 4, -1).transpose(1, 2)
            out: torch.Tensor = self.last(y.flatten(1))
            return out

    graph = trace(Literal(), (torch.randn(2, 3),))
    assert sizes(graph) == {"first": 3}
    whys = [entry.why for entry in graph.fixed if (entry.path, entry.dim) == ("first.weight", 0)]
    assert len(whys) == 1
    assert whys[0].startswith("in one factor, size 4 is written in the code at")


def test_an_operator_has_one_rule() -> None:
    with pytest.raises(ValueError, match=r"mm has a rule already, in secateurs\.graph\.rules\.contraction"):
        register("mm")(lambda call: None)
