"""Contributions against loops over samples, readers and units, one number at a time."""

from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs._errors import ConfigError, PlanError
from secateurs.criteria import Contribution, _sharing
from secateurs.graph import trace
from tests.criteria._toys import fill

Shares = tuple[np.ndarray, np.ndarray]
"""Mean and maximum over samples (and positions) and readers, per input."""

OPTIONS = [
    Contribution(),
    Contribution(signed=True),
    Contribution(average=0.0, maximum=1.0),
    Contribution(average=0.3, maximum=2.0, signed=True),
]
every_option = pytest.mark.parametrize("options", OPTIONS, ids=["mean", "signed", "maximum", "both signed"])


def _shares(rows: Iterable[Tensor], weight: Tensor, options: Contribution) -> np.ndarray:
    """[rows, readers, inputs]; rows [N] and weight [M, N], a number at a time."""
    found = []
    for row in rows:
        for weights in weight:
            terms = [float(w) * float(a) for w, a in zip(weights, row, strict=True)]
            terms = terms if options.signed else [abs(term) for term in terms]
            total = sum(terms)
            found.append([term / total if total else 0.0 for term in terms])
    return np.array(found).reshape(-1, len(weight), weight.shape[1])


def _combined(shares: np.ndarray, options: Contribution) -> Tensor:
    """[units] from [rows, readers, units]."""
    return torch.from_numpy(options.average * shares.mean((0, 1)) + options.maximum * shares.max((0, 1)))


def _batches(shape: tuple[int, ...], sizes: tuple[int, ...] = (4, 1, 3)) -> list[tuple[Tensor, Tensor]]:
    """Batches of different sizes: a mean of their means would be wrong."""
    generator = torch.Generator().manual_seed(2)
    make = [torch.randn(size, *shape, generator=generator, dtype=torch.float64) for size in sizes]
    return [(batch, torch.zeros(len(batch), dtype=torch.int64)) for batch in make]


def _net(*layers: nn.Module) -> nn.Sequential:
    network = nn.Sequential(*layers).double()
    fill(network)
    return network


def _weight(layer: nn.Module) -> Tensor:
    assert isinstance(layer.weight, Tensor)
    return layer.weight


def _close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found.double(), wanted, rtol=1e-6, atol=1e-9)


@every_option
def test_linear_layers_agree_with_a_triple_loop(options: Contribution) -> None:
    layers = [nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3)]
    model, batches = _net(*layers), _batches((6,))
    found = options(trace(model, (batches[0][0],)), batches=batches)
    x = torch.cat([images for images, _ in batches])
    with torch.no_grad():
        _close(found["0"], _combined(_shares(model[:2](x), _weight(model[2]), options), options))
        _close(found["2"], _combined(_shares(model[:4](x), _weight(model[4]), options), options))


def _patches(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """[samples and positions, channels * offsets]."""
    assert not isinstance(layer.padding, str)
    unfolded = F.unfold(x, layer.kernel_size, dilation=layer.dilation, padding=layer.padding, stride=layer.stride)
    return unfolded.transpose(1, 2).flatten(0, 1)


def _by_channel(shares: np.ndarray, channels: int) -> np.ndarray:
    summed: np.ndarray = shares.reshape(*shares.shape[:2], channels, -1).sum(3)
    return summed


@every_option
@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
def test_convolutions_agree_with_a_loop_over_positions(
    options: Contribution, padding_mode: Literal["zeros", "circular"]
) -> None:
    second = nn.Conv2d(4, 3, 3, stride=2, padding=1, padding_mode=padding_mode)
    model = _net(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), second)
    batches = _batches((2, 5, 5))
    found = options(trace(model, (batches[0][0],), free_outputs=True), batches=batches)
    with torch.no_grad():
        read = model[:2](torch.cat([images for images, _ in batches]))
        if padding_mode == "circular":
            read = F.pad(read, (1, 1, 1, 1), mode="circular")
        plain = nn.Conv2d(4, 3, 3, stride=2, padding=1 if padding_mode == "zeros" else 0)
        shares = _shares(_patches(read, plain), second.weight.flatten(1), options)
    _close(found["0"], _combined(_by_channel(shares, 4), options))


@every_option
def test_a_flattened_channel_has_the_sum_of_its_positions(options: Contribution) -> None:
    layers = [nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 4)]
    model, batches = _net(*layers), _batches((1, 6, 6))
    found = options(trace(model, (batches[0][0],)), batches=batches)
    with torch.no_grad():
        shares = _shares(model[:4](torch.cat([images for images, _ in batches])), _weight(model[4]), options)
    _close(found["0"], _combined(_by_channel(shares, 3), options))


@pytest.mark.parametrize("options", [OPTIONS[0], OPTIONS[2]], ids=["mean", "maximum"])
def test_groups_read_their_own_channels_only(options: Contribution) -> None:
    reader = nn.Conv2d(6, 4, 3, groups=2)
    model = _net(nn.Conv2d(2, 6, 1), nn.ReLU(), reader, nn.Flatten())
    batches = _batches((2, 4, 4))
    graph = trace(model, (batches[0][0],))
    axis = next(axis for axis in graph.axes if any(member.role == "reads" for member in axis.members))
    found = options(graph, batches=batches)[axis.name]
    with torch.no_grad():
        read = model[:2](torch.cat([images for images, _ in batches])).chunk(2, dim=1)
        weights = reader.weight.flatten(1).chunk(2)
        plain = nn.Conv2d(3, 2, 3)
        halves = [
            _by_channel(_shares(_patches(half, plain), weight, options), 3)
            for half, weight in zip(read, weights, strict=True)
        ]
    both = np.concatenate(halves, axis=1)  # unit u is channel u of each group, and each output reads one of them
    _close(found, _combined(both, options))


class _Functional(nn.Module):
    """A weight that no module calls, one laid out the other way, one that reads two layers at once, one in slices."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.other = nn.Linear(4, 5), nn.Linear(4, 2)
        self.joint = nn.Parameter(torch.zeros(6, 7))
        self.last = nn.Parameter(torch.zeros(6, 3))

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([self.first(x), self.other(x)], -1).relu()
        parts = [F.linear(both, weight) for weight in self.joint.chunk(2)]
        return torch.cat(parts, -1).relu() @ self.last


@every_option
def test_readers_that_are_no_modules_agree_with_a_triple_loop(options: Contribution) -> None:
    model, batches = fill(_Functional().double()), _batches((3, 4))
    assert isinstance(model, _Functional)
    found = options(trace(model, (batches[0][0],)), batches=batches)
    with torch.no_grad():
        x = torch.cat([images for images, _ in batches]).flatten(0, 1)  # every token is a row
        both = torch.cat([model.first(x), model.other(x)], -1).relu()
        read = (both @ model.joint.t()).relu()
        joint = _combined(_shares(both, model.joint, options), options)
        _close(torch.cat([found["first"], found["other"]]), joint)
        halves = _shares(read, model.last.t(), options).reshape(-1, 3, 2, 3).sum(2)  # equal chunks go together
    (axis,) = (axis for axis in found if axis.startswith("joint"))
    _close(found[axis], _combined(halves, options))


def test_a_transposed_convolution_reads_too() -> None:
    reader = nn.ConvTranspose2d(3, 2, 2, stride=2)
    model = _net(nn.Conv2d(1, 3, 1), nn.ReLU(), reader)
    batches = _batches((1, 3, 3))
    found = Contribution()(trace(model, (batches[0][0],), free_outputs=True), batches=batches)
    with torch.no_grad():
        read = model[:2](torch.cat([images for images, _ in batches]))
        # With stride = kernel every output position reads one input position with one offset's weights.
        rows = read.permute(0, 2, 3, 1).reshape(-1, 3)
        offsets = reader.weight.flatten(2).unbind(2)
        shares = np.concatenate([_shares(rows, weight.t(), Contribution()) for weight in offsets])
    _close(found["0"], _combined(shares, Contribution()))


def test_weights_used_behind_their_modules_back_are_found() -> None:
    class Sly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 5), nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(self.first(x).relu(), self.second.weight)

    model, batches = Sly().double(), _batches((4,))
    fill(model)
    plain = nn.Sequential(model.first, nn.ReLU(), model.second)
    found, wanted = (Contribution()(trace(net, (batches[0][0],)), batches=batches) for net in (model, plain))
    _close(found["first"], wanted["0"])


def test_pre_activation_reads_what_the_layer_before_gives() -> None:
    model, batches = _net(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5)), _batches((6,))
    options = Contribution(pre_activation=True)
    found = options(trace(model, (batches[0][0],), free_outputs=True), batches=batches)
    with torch.no_grad():
        before = model[0](torch.cat([images for images, _ in batches]))
        _close(found["0"], _combined(_shares(before, _weight(model[2]), options), options))


def test_a_silent_unit_ranks_high_only_before_the_nonlinearity() -> None:
    layer = nn.Linear(6, 8)
    model = _net(layer, nn.ReLU(), nn.Linear(8, 5))
    with torch.no_grad():
        layer.bias[3] = -1000.0
    batches = _batches((6,))
    graph = trace(model, (batches[0][0],), free_outputs=True)
    after, before = (Contribution(pre_activation=flag)(graph, batches=batches)["0"] for flag in (False, True))
    assert after[3] == 0
    assert after.argmin() == 3
    assert before.argmax() == 3


@every_option
def test_nothing_to_share_is_no_share(options: Contribution) -> None:
    layer = nn.Linear(4, 3)
    model = _net(layer, nn.ReLU(), nn.Linear(3, 2))
    with torch.no_grad():
        layer.bias.fill_(-1000.0)
    batches = _batches((4,))
    found = options(trace(model, (batches[0][0],)), batches=batches)
    assert torch.equal(found["0"], torch.zeros_like(found["0"]))


def test_shares_of_all_that_is_read_sum_to_one() -> None:
    model, batches = _net(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5)), _batches((6,))
    for signed in (False, True):
        found = Contribution(signed=signed)(trace(model, (batches[0][0],)), batches=batches)
        torch.testing.assert_close(found["0"].double().sum(), torch.tensor(1.0, dtype=torch.float64))


def test_a_mean_share_is_the_derivative_of_the_logarithms_of_all_totals() -> None:
    model, batches = _net(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5)), _batches((6,), (9,))
    found = Contribution()(trace(model, (batches[0][0],)), batches=batches)["0"]
    factors = torch.ones(8, dtype=torch.float64, requires_grad=True)
    totals = (model[:2](batches[0][0]).detach() * factors) @ _weight(model[2]).detach().abs().t()
    wanted = torch.autograd.grad(totals.log().sum(), factors)[0] / totals.numel()
    _close(found, wanted)


@pytest.mark.parametrize("numbers", [1, 6, 21, 10**6])
def test_a_maximum_is_the_same_however_many_numbers_are_looked_at_in_one_go(
    numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batches = _net(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5)), _batches((6,), (7, 12))
    monkeypatch.setitem(_sharing._MOST, "cpu", numbers)
    options = Contribution(average=0.0, maximum=1.0)
    found = options(trace(model, (batches[0][0],)), batches=batches)["0"]
    with torch.no_grad():
        x = torch.cat([images for images, _ in batches])
        _close(found, _combined(_shares(model[:2](x), _weight(model[2]), options), options))


def test_the_model_and_the_random_numbers_stay_as_they_were() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.ReLU(), nn.Linear(8, 5)).train()
    batches = [(images.float(), labels) for images, labels in _batches((6,))]
    graph = trace(model, (batches[0][0],))
    before, state = {name: tensor.clone() for name, tensor in model.state_dict().items()}, torch.get_rng_state()
    Contribution(maximum=1.0)(graph, batches=batches)
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


class _Scaled(nn.Module):
    """A weight that is made into another one before it reads; with a plain reader beside it where asked."""

    def __init__(self, *, second: bool) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)
        self.beside = nn.Linear(6, 3) if second else None

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x).relu()
        result = F.linear(hidden, 2 * self.last.weight)
        return result if self.beside is None else result + self.beside(hidden)


def test_a_reader_that_cannot_be_observed_is_named() -> None:
    model, batches = fill(_Scaled(second=False).double()), _batches((4,))
    with pytest.raises(PlanError, match=r"axis 'first'.*last\.weight"):
        Contribution()(trace(model, (batches[0][0],)), batches=batches)


def test_a_reader_that_cannot_be_observed_is_left_out_where_there_are_others() -> None:
    model, batches = fill(_Scaled(second=True).double()), _batches((4,))
    assert isinstance(model, _Scaled)
    assert model.beside is not None
    found = Contribution(maximum=1.0)(trace(model, (batches[0][0],)), batches=batches)
    plain = nn.Sequential(model.first, nn.ReLU(), model.beside)
    wanted = Contribution(maximum=1.0)(trace(plain, (batches[0][0],)), batches=batches)
    _close(found["first"], wanted["0"])


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Contribution(average=-1.0), "average"),
        (lambda: Contribution(maximum=float("nan")), "maximum"),
        (lambda: Contribution(average=0.0), "one above 0"),
    ],
)
def test_options_out_of_range_are_refused(make: Callable[[], Contribution], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        make()


def test_it_asks_for_batches() -> None:
    graph = trace(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), (torch.zeros(1, 4),))
    with pytest.raises(PlanError, match="batches"):
        Contribution()(graph)
