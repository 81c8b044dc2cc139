"""Criteria of gradients against plain backward passes, one image and one weight at a time."""

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn

from secateurs._errors import ConfigError, PlanError
from secateurs.criteria import SNIP, Criterion, Fisher, GraSP, Taylor
from secateurs.graph import Axis, Graph, trace
from tests.criteria._by_hand import (
    Data,
    data,
    each_image,
    entries,
    gate_members,
    gradients,
    loss,
    parameters,
    whole,
)
from tests.criteria._toys import TOYS, fill

every_toy = pytest.mark.parametrize("name", TOYS)
STREAMED = [Taylor(), Taylor(at="gate"), Fisher(), Fisher(at="weights"), SNIP(), GraSP(temperature=2)]


def _times(graph: Graph, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every weight times its gradient."""
    return {path: graph.tensor(path).detach() * gradient for path, gradient in found.items()}


def _taylor(graph: Graph, axis: Axis, batches: Data) -> Tensor:
    values = _times(graph, gradients(graph, *whole(batches)))
    return entries(graph, axis, parameters(graph, axis), values).abs()


def _gates(graph: Graph, axis: Axis, batches: Data) -> Tensor:
    """[images, units]: weights are linear in what they read, so that these sums are activation times gradient."""
    members = gate_members(graph, axis)
    return torch.stack([entries(graph, axis, members, _times(graph, found)) for found in each_image(graph, batches)])


def _taylor_gate(graph: Graph, axis: Axis, batches: Data) -> Tensor:
    return _gates(graph, axis, batches).abs().mean(0)


def _fisher_gate(graph: Graph, axis: Axis, batches: Data) -> Tensor:
    return _gates(graph, axis, batches).square().mean(0) / 2


def _fisher_weights(graph: Graph, axis: Axis, batches: Data) -> Tensor:
    squares = [
        {path: values.square() for path, values in _times(graph, found).items()} for found in each_image(graph, batches)
    ]
    means = {path: torch.stack([each[path] for each in squares]).mean(0) / 2 for path in squares[0]}
    return entries(graph, axis, parameters(graph, axis), means)


def _snip(graph: Graph, axis: Axis, batches: Data) -> Tensor:
    values = {path: found.abs() for path, found in _times(graph, gradients(graph, *whole(batches))).items()}
    weights = [member for member in parameters(graph, axis) if values[member.path].dim() > 1]
    everywhere = {member.path for each in graph.axes for member in each.members}
    total = sum(float(part.sum()) for path, part in values.items() if part.dim() > 1 and path in everywhere)
    return entries(graph, axis, weights, values) / total


def _grasp(graph: Graph, axis: Axis, batches: Data) -> Tensor:
    """The Hessian times the gradient as a difference of gradients."""
    images, targets = whole(batches)
    weights = {name: parameter for name, parameter in graph.model.named_parameters() if parameter.dim() > 1}
    start = {name: weight.detach().clone() for name, weight in weights.items()}

    def flow() -> dict[str, Tensor]:
        outputs = graph.model.eval()(images) / 2
        return dict(zip(weights, torch.autograd.grad(loss(outputs, targets), list(weights.values())), strict=True))

    def moved(step: float) -> dict[str, Tensor]:
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(start[name] + step * direction[name])
        return flow()

    direction, step = flow(), 1e-5
    ahead, behind = moved(step), moved(-step)
    moved(0)
    products = {name: start[name] * (ahead[name] - behind[name]) / (2 * step) for name in weights}
    return entries(graph, axis, [member for member in parameters(graph, axis) if member.path in weights], products)


Slow = Callable[[Graph, Axis, Data], Tensor]
REFERENCES: list[tuple[Criterion, Slow]] = [
    (Taylor(), _taylor),
    (Taylor(at="gate"), _taylor_gate),
    (Fisher(), _fisher_gate),
    (Fisher(at="weights"), _fisher_weights),
    (SNIP(), _snip),
]


@every_toy
@pytest.mark.parametrize(("criterion", "slow"), REFERENCES, ids=lambda value: "" if callable(value) else repr(value))
def test_scores_are_those_of_the_slow_way(criterion: Criterion, slow: Slow, name: str) -> None:
    graph, batches = data(name)
    found = criterion(graph, batches=batches, loss=loss)
    for axis in graph.axes:
        torch.testing.assert_close(found[axis.name], slow(graph, axis, batches), rtol=1e-9, atol=1e-14)


@every_toy
def test_the_product_of_hessian_and_gradient_is_the_difference_of_gradients(name: str) -> None:
    graph, batches = data(name)
    found = GraSP(temperature=2)(graph, batches=batches, loss=loss)
    for axis in graph.axes:
        wanted = _grasp(graph, axis, batches)
        torch.testing.assert_close(found[axis.name], wanted, rtol=1e-4, atol=1e-6 * float(wanted.abs().max()))


@every_toy
@pytest.mark.parametrize("criterion", STREAMED, ids=repr)
def test_the_size_of_batches_makes_no_difference(criterion: Criterion, name: str) -> None:
    graph, batches = data(name)
    found = criterion(graph, batches=batches, loss=loss)
    at_once = criterion(graph, batches=[whole(batches)], loss=loss)
    for axis in graph.axes:
        torch.testing.assert_close(found[axis.name], at_once[axis.name], rtol=1e-9, atol=1e-14)


class Folded(nn.Module):
    """Rows of several images in one dim, sequences first, and a stream that is written in place."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 6)
        self.attention = nn.MultiheadAttention(6, 2)
        self.inner = nn.Linear(6, 5)
        self.outer = nn.Linear(5, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.embed(x.flatten(0, 1)).unflatten(0, x.shape[:2]).transpose(0, 1)
        rows = rows + self.attention(rows, rows, rows)[0]
        more = self.outer(nn.functional.relu_(self.inner(rows)))
        more += rows
        result: Tensor = self.head(more.mean(0))
        return result


def _folded(sizes: tuple[int, ...]) -> tuple[Graph, Data]:
    model = fill(Folded().double())
    generator = torch.Generator().manual_seed(1)
    batches = [
        (torch.randn(size, 4, 3, generator=generator, dtype=torch.float64), torch.arange(size) % 2) for size in sizes
    ]
    return trace(model, (batches[0][0],)), batches


@pytest.mark.parametrize(("criterion", "slow"), REFERENCES[1:3], ids=["taylor", "fisher"])
def test_images_are_told_apart_wherever_they_lie(criterion: Criterion, slow: Slow) -> None:
    graph, batches = _folded((3, 4, 2, 1))  # of four images, as there are places
    found = criterion(graph, batches=batches, loss=loss)
    assert {axis.kind for axis in graph.axes} >= {"branch", "head", "head_dim"}
    for axis in graph.axes:
        torch.testing.assert_close(found[axis.name], slow(graph, axis, batches), rtol=1e-9, atol=1e-14)


class Shuffled(nn.Module):
    """A number of rows that has nothing to do with the number of images."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.embed(x).relu().flatten(0, 1)
        result: Tensor = self.head(rows[1:]).mean(0).expand(len(x), 2)
        return result


class Routed(nn.Module):
    """Tokens of all images go through one of two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.one, self.two = nn.Linear(3, 6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.embed(x).relu()
        chosen = rows[..., 0] > rows[..., 1]
        out = torch.zeros_like(rows)
        out[chosen], out[~chosen] = self.one(rows[chosen]), self.two(rows[~chosen])
        result: Tensor = self.head(out.mean(1))
        return result


def test_routed_tokens_are_refused_rather_than_given_to_any_image() -> None:
    x = torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(3))
    graph = trace(fill(Routed()), (x,))
    batches = [(x, torch.zeros(6, dtype=torch.int64))]
    with pytest.raises(PlanError, match="wanted one activation for each image of a batch"):
        Taylor(at="gate")(graph, batches=batches, loss=loss)
    assert Taylor()(graph, batches=batches, loss=loss)


def test_images_that_cannot_be_told_apart_are_refused() -> None:
    x = torch.randn(3, 4, 3)
    graph = trace(fill(Shuffled()), (x,))
    with pytest.raises(PlanError, match=r"wanted one activation for each image .*at head.weight.* at='weights'"):
        Taylor(at="gate")(graph, batches=[(x, torch.zeros(3, dtype=torch.int64))], loss=loss)


def test_a_loss_that_does_not_depend_on_a_unit_gives_it_zero() -> None:
    graph, batches = data("chain")
    with torch.no_grad():
        graph.tensor("2.weight")[:, 3] = 0
    for criterion in (Taylor(at="gate"), Fisher()):
        scores = criterion(graph, batches=batches, loss=loss)["0"]
        assert scores[3] == 0
        assert int((scores > 0).sum()) == 6


def test_frozen_weights_count_like_others() -> None:
    graph, batches = data("residual")
    before = [criterion(graph, batches=batches, loss=loss) for criterion in STREAMED]
    graph.model.requires_grad_(False)
    for criterion, scores in zip(STREAMED, before, strict=True):
        after = criterion(graph, batches=batches, loss=loss)
        assert all(torch.equal(after[name], values) for name, values in scores.items())


@pytest.mark.parametrize("criterion", STREAMED, ids=repr)
def test_without_batches_or_loss_it_says_what_it_wants(criterion: Criterion) -> None:
    graph, batches = data("chain")
    with pytest.raises(PlanError, match="wanted batches to look at"):
        criterion(graph, loss=loss)
    with pytest.raises(PlanError, match="wanted a loss of outputs and targets"):
        criterion(graph, batches=batches)
    with pytest.raises(PlanError, match="at least one batch"):
        criterion(graph, batches=[], loss=loss)


def test_options_that_there_are_not_are_refused() -> None:
    with pytest.raises(ConfigError, match="taylor' at: wanted 'weights' or 'gate', got 'gates'"):
        Taylor(at="gates")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="fisher' at: wanted 'gate' or 'weights', got 'gates'"):
        Fisher(at="gates")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="grasp' temperature: wanted a number above 0, got 0"):
        GraSP(temperature=0)


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.first(x)
        return self.second(hidden), hidden.sum(1)


def test_a_temperature_needs_a_tensor() -> None:
    x = torch.randn(2, 3)
    graph = trace(fill(Pair()), (x,))
    with pytest.raises(PlanError, match="wanted outputs as one tensor, got tuple"):
        GraSP()(graph, batches=[(x, None)], loss=lambda outputs, _: outputs[0].sin().sum())
    found = GraSP(temperature=1)(graph, batches=[(x, None)], loss=lambda outputs, _: outputs[0].sin().sum())
    assert bool(found["first"].any())
