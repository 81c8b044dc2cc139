"""The flow against networks written out by hand, and its conservation in every kind of layer."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs.criteria import SynFlow
from secateurs.graph import trace
from tests.criteria._by_hand import entries
from tests.criteria._toys import fill, toy


def test_a_chain_is_a_product_of_matrices() -> None:
    graph, _ = toy("chain", dtype=torch.float64)
    first, second, third = (graph.tensor(f"{number}.weight").detach().abs() for number in (0, 2, 4))
    into, out = first.sum(1), third.sum(0) @ second
    scores = SynFlow()(graph)
    images = 2  # in the example
    # Twice, since what makes a unit and what reads it sum up to the same.
    torch.testing.assert_close(scores["0"], 2 * images * into * out)
    torch.testing.assert_close(scores["2"], 2 * images * (second @ into) * third.sum(0))


def test_a_residual_network_by_hand() -> None:
    graph, _ = toy("residual", dtype=torch.float64)
    model = graph.model
    weights = {name: p.detach().abs().requires_grad_() for name, p in model.named_parameters() if p.dim() > 1}
    scale = model.get_parameter("norm.weight").detach().abs() * (model.get_buffer("norm.running_var") + 1e-5).rsqrt()
    stream = F.conv2d(torch.ones(2, 3, 4, 4, dtype=torch.float64), weights["stem.weight"], padding=1)
    hidden = F.conv2d(stream, weights["inner.weight"], padding=1)
    stream = stream + F.conv2d(hidden, weights["outer.weight"], padding=1) * scale[:, None, None]
    flow = F.linear(stream.flatten(1), weights["head.weight"]).sum()
    found = dict(zip(weights, torch.autograd.grad(flow, list(weights.values())), strict=True))
    values = {name: weight.detach() * found[name] for name, weight in weights.items()}
    scores = SynFlow()(graph)
    for axis in graph.axes:
        members = [member for member in axis.members if member.path in weights]
        torch.testing.assert_close(scores[axis.name], entries(graph, axis, members, values))


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "batch norm": lambda: nn.BatchNorm2d(4),
    "group norm": lambda: nn.GroupNorm(2, 4),
    "layer norm": lambda: nn.GroupNorm(1, 4),
    "instance norm": lambda: nn.InstanceNorm2d(4, affine=True),
    "relu6": nn.ReLU6,
    "hardswish": nn.Hardswish,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "leaky": lambda: nn.LeakyReLU(0.1, inplace=True),
    "softplus": nn.Softplus,
}


@pytest.mark.parametrize("layer", LAYERS)
def test_no_layer_stops_the_flow_or_turns_its_sign(layer: str) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), LAYERS[layer](), nn.Conv2d(4, 5, 3), nn.ReLU(), nn.Conv2d(5, 2, 1))
    fill(model.double())
    with torch.no_grad():
        model.get_parameter("0.weight").mul_(100)  # beyond what ReLU6 and tanh let through
        model.get_parameter("0.bias").fill_(-1e6)
        if layer == "batch norm":
            model.get_buffer("1.running_mean").fill_(1e6)
    graph = trace(model, (torch.zeros(1, 3, 8, 8, dtype=torch.float64),))
    scores = SynFlow()(graph)
    whole = [values for name, values in scores.items() if ":" not in name]
    for values in scores.values():
        assert (values > 0).all()
    for values in whole:  # all that flows goes through every layer
        assert float(values.sum()) == pytest.approx(float(whole[0].sum()), rel=1e-9)


class Block(nn.Module):
    """A transformer's block, whose attention has weights of both signs."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 8)
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.inner, self.outer = nn.Linear(8, 12), nn.Linear(12, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        y = self.norm(x)
        x = x + self.attention(y, y, y)[0]
        x = x + self.outer(F.gelu(self.inner(self.norm(x))))
        result: Tensor = self.head(x.mean(1))
        return result


def test_attention_lets_the_flow_through_everywhere() -> None:
    graph = trace(fill(Block()), (torch.zeros(2, 5, 3),))
    scores = SynFlow()(graph)
    assert {"head", "head_dim", "hidden", "branch"} <= {axis.kind for axis in graph.axes}
    for name, values in scores.items():
        assert (values > 0).all(), name


def test_a_deep_network_without_norms_stays_within_double_precision() -> None:
    layers = [layer for _ in range(60) for layer in (nn.Conv2d(64, 64, 3, padding=1), nn.ReLU())]
    graph = trace(nn.Sequential(*layers), (torch.zeros(1, 64, 4, 4),))
    scores = SynFlow()(graph)
    assert all((values > 0).all() for values in scores.values())


def test_inputs_of_integers_are_those_of_the_example() -> None:
    model = nn.Sequential(nn.Embedding(7, 6), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
    fill(model.double())
    graph = trace(model, (torch.tensor([[3, 1]]),))
    scores = SynFlow()(graph)
    table, first, last = (graph.tensor(path).detach().abs() for path in ("0.weight", "1.weight", "3.weight"))
    out = last.sum(0)
    torch.testing.assert_close(scores["1"], 2 * (first @ (table[3] + table[1])) * out)
