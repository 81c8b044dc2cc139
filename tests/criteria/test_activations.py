"""Criteria of activations against loops over what the toys compute, one unit at a time."""

import pytest
import torch
from torch import Tensor, nn

from secateurs._errors import ConfigError, PlanError
from secateurs.criteria import ActivationMean, ActivationNorm, APoZ, Criterion, HRank
from secateurs.graph import trace
from tests.criteria._by_hand import Seen, data, seen, whole
from tests.criteria._toys import TOYS, fill

every_toy = pytest.mark.parametrize("name", TOYS)
STREAMED = [ActivationMean(), ActivationMean(absolute=False), ActivationNorm(), ActivationNorm(p=2), APoZ(), HRank()]


def _of_unit(place: Seen, unit: int) -> Tensor:
    """[images, places, positions of the unit]."""
    return place.values[:, :, [position for position, other in enumerate(place.units) if other == unit]]


def _mean(places: list[Seen], unit: int) -> float:
    return sum(float(_of_unit(place, unit).abs().mean()) for place in places) / len(places)


def _active(places: list[Seen], unit: int) -> float:
    return sum(float((_of_unit(place, unit) > 0).double().mean()) for place in places) / len(places)


def _norm(places: list[Seen], unit: int, p: int) -> float:
    total = 0.0
    for place in places:
        for position, other in enumerate(place.units):
            if other == unit:
                energy = float(place.values[:, :, position].square().mean())
                weights = [1.0] if place.weights is None else place.weights[:, position].tolist()
                total += sum(abs(weight) ** p for weight in weights) * energy ** (p / 2)
    return float(total ** (1 / p))


def _rank(places: list[Seen], unit: int) -> float:
    with_maps = [place for place in places if place.height > 1] or places
    means = []
    for place in with_maps:
        ranks = []
        for image in _of_unit(place, unit):
            for column in image.T:
                rows = column.reshape(-1, place.height, place.height) if place.height > 1 else column.reshape(1, 1, -1)
                ranks += [int(torch.linalg.matrix_rank(matrix)) for matrix in rows]
        means.append(sum(ranks) / len(ranks))
    return sum(means) / len(means)


REFERENCES = [
    (ActivationMean(), _mean),
    (APoZ(), _active),
    (ActivationNorm(), lambda places, unit: _norm(places, unit, 1)),
    (ActivationNorm(p=2), lambda places, unit: _norm(places, unit, 2)),
    (HRank(), _rank),
]


@every_toy
@pytest.mark.parametrize(("criterion", "slow"), REFERENCES, ids=["mean", "apoz", "norm 1", "norm 2", "hrank"])
def test_scores_are_those_of_the_slow_way(criterion: Criterion, slow: object, name: str) -> None:
    assert callable(slow)
    graph, batches = data(name)
    places = seen(name, graph.model, whole(batches)[0])
    found = criterion(graph, batches=batches)
    assert set(places) == set(found)
    for axis in graph.axes:
        wanted = torch.tensor([slow(places[axis.name], unit) for unit in range(axis.size)], dtype=torch.float64)
        torch.testing.assert_close(found[axis.name], wanted, rtol=1e-9, atol=1e-12)


@every_toy
@pytest.mark.parametrize("criterion", STREAMED, ids=repr)
def test_the_size_of_batches_makes_no_difference(criterion: Criterion, name: str) -> None:
    graph, batches = data(name)
    found, at_once = criterion(graph, batches=batches), criterion(graph, batches=[whole(batches)])
    for axis in graph.axes:
        torch.testing.assert_close(found[axis.name], at_once[axis.name], rtol=1e-9, atol=1e-12)


def test_a_unit_that_is_never_active_has_the_lowest_scores() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.Flatten())
    fill(model)
    with torch.no_grad():
        model.get_parameter("0.bias")[2] = -1e3
    x = torch.randn(3, 3, 8, 8)
    graph = trace(model, (x,))
    for criterion in STREAMED:
        scores = criterion(graph, batches=[x])["0"]
        assert scores[2] == 0
        assert int((scores > 0).sum()) == 3


class Handmade(nn.Module):
    """Weights that are no module's: in `@` and `addmm`, slices of a weight, a transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.zeros(4, 6))
        self.both = nn.Parameter(torch.zeros(8, 6))
        self.bias = nn.Parameter(torch.zeros(5))
        self.second = nn.Parameter(torch.zeros(8, 5))
        self.up = nn.ConvTranspose1d(5, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = (x @ self.first).relu()
        x = torch.cat([nn.functional.linear(x, self.both[:4]), nn.functional.linear(x, self.both[4:])], 1).relu()
        x = torch.addmm(self.bias, x, self.second).relu()
        result: Tensor = self.up(x[:, :, None]).flatten(1)
        return result


def test_weights_are_seen_whatever_code_uses_them() -> None:
    model = fill(Handmade().double())
    x = torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    graph = trace(model, (x,))
    with torch.no_grad():
        first = (x @ model.get_parameter("first")).relu()
        both = (first @ model.get_parameter("both").T).relu()
        second = torch.addmm(model.get_parameter("bias"), both, model.get_parameter("second")).relu()
    found = ActivationMean()(graph, batches=[x])
    for axis, wanted in (("first", first), ("both", both[:, 4:]), ("second", second)):
        torch.testing.assert_close(found[axis], wanted.mean(0))


class Einsums(nn.Module):
    """Products as equations, and weights that are made anew on each call."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.zeros(6, 4))
        self.second = nn.Parameter(torch.zeros(6, 5))
        self.third = nn.utils.parametrizations.weight_norm(nn.Linear(5, 7))
        self.last = nn.Linear(7, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.einsum("btc,dc->btd", x, self.first).relu()
        x = torch.einsum("ij,...i->...j", self.second, x).relu()
        scale = self.last.weight.norm(dim=1, keepdim=True)
        result: Tensor = nn.functional.linear(self.third(x).relu(), self.last.weight / scale)
        return result


def test_equations_and_derived_weights_are_seen() -> None:
    model = fill(Einsums().double())
    x = torch.randn(3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    graph = trace(model, (x,))
    with torch.no_grad():
        first = (x @ model.get_parameter("first").T).relu()
        second = (first @ model.get_parameter("second")).relu()
        third = model.get_submodule("third")(second).relu()
    found = ActivationMean()(graph, batches=[x])
    by_size = {axis.size: found[axis.name] for axis in graph.axes}
    for wanted in (first, second, third):
        torch.testing.assert_close(by_size[wanted.shape[-1]], wanted.mean((0, 1)))


def test_a_weight_that_nobody_watches_is_not_taken_for_another_of_its_shape() -> None:
    model = fill(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 8)).double())
    x = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = ActivationMean()(trace(model, (x,)), batches=[x])  # the first and last weights have the same shape
    with torch.no_grad():
        hidden = [model.get_submodule("0")(x).relu()]
        hidden.append(model.get_submodule("2")(hidden[0]).relu())
    torch.testing.assert_close(found["0"], hidden[0].mean(0))
    torch.testing.assert_close(found["2"], hidden[1].mean(0))


def test_an_option_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="p: wanted 1 or 2, got 3"):
        ActivationNorm(p=3)  # type: ignore[arg-type]


def test_without_batches_it_says_what_it_wants() -> None:
    graph, _ = data("chain")
    with pytest.raises(PlanError, match="criterion ActivationMean: wanted batches to look at"):
        ActivationMean()(graph)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.LSTM(3, 4, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.head(self.memory(x)[0])
        return result


def test_a_reader_that_cannot_be_seen_is_left_out() -> None:
    x = torch.randn(2, 5, 3)
    model = fill(Recurrent())
    graph = trace(model, (x,))
    found = ActivationMean()(graph, batches=[x])
    (axis,) = graph.axes
    memory = model.get_submodule("memory")
    torch.testing.assert_close(found[axis.name], memory(x)[0].detach().abs().mean((0, 1)).double())
