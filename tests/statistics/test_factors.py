"""Kronecker factors against sums over images, places and kernel offsets, one at a time."""

from collections.abc import Callable
from copy import deepcopy
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs._errors import ConfigError, PlanError
from secateurs.statistics import FactorOptions, Factors, damped, kronecker_factors, layers_of, squared_gradients
from tests.statistics._nets import images, network, reads, watched

COUNT = 5
LABELS = torch.tensor([0, 2, 1, 1, 0])
EMPIRICAL = FactorOptions(fisher="empirical")


def _batches(size: int) -> list[tuple[Tensor, Tensor]]:
    return list(zip(images(COUNT).split(size), LABELS.split(size), strict=True))


def _loss(target: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda outputs: F.cross_entropy(outputs, target)


def _by_hand(path: str, inputs: str) -> Factors:
    """The definition, on the targets given."""
    model = network()
    layer = layers_of(model)[path]
    moments: list[Tensor] = []
    means, outputs, rows = [], [], 0
    for image, label in zip(images(COUNT), LABELS, strict=True):
        found, gradient = watched(model, image, _loss(label[None]))[path]
        read = reads(layer, found).detach()
        groups, places, _, offsets = read.shape
        for place in range(places):
            rows += 1
            if inputs == "patch":
                flat = read[:, place].reshape(groups, -1)
                moments.append(flat[:, :, None] * flat[:, None, :])
                means.append(flat)
                continue
            for offset in range(offsets):
                flat = read[:, place, :, offset]
                moments.append(flat[:, :, None] * flat[:, None, :] / offsets)
                means.append(flat / offsets)
        outputs.append(sum(g[:, None] * g[None] for g in gradient))
    return Factors(
        inputs=torch.stack(moments).sum(0) / rows,
        mean=torch.stack(means).sum(0) / rows,
        outputs=torch.stack([torch.as_tensor(s) for s in outputs]).mean(0),
        images=COUNT,
        positions=rows / COUNT,
    )


@pytest.mark.parametrize("inputs", ["channel", "patch"])
@pytest.mark.parametrize("path", ["stem", "dilated", "strided", "grouped", "point", "head"])
def test_factors_are_those_of_the_definition(path: str, inputs: str) -> None:
    wanted = _by_hand(path, inputs)
    options = FactorOptions(fisher="empirical", inputs="patch" if inputs == "patch" else "channel")
    for size in (1, 2, 5):
        found = kronecker_factors(network(), _batches(size), options=options, loss=F.cross_entropy)[path]
        torch.testing.assert_close(found.inputs, wanted.inputs, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(found.mean, wanted.mean, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(found.outputs, wanted.outputs, rtol=1e-10, atol=1e-14)
        assert (found.images, found.positions) == (wanted.images, wanted.positions)


def test_single_precision_is_near() -> None:
    exact = kronecker_factors(network(), _batches(2), options=EMPIRICAL, loss=F.cross_entropy)
    halves = [(x.float(), y) for x, y in _batches(2)]
    found = kronecker_factors(network().float(), halves, options=EMPIRICAL, loss=F.cross_entropy)
    for path, factors in found.items():
        assert factors.inputs.dtype == torch.float32
        torch.testing.assert_close(factors.inputs.double(), exact[path].inputs, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(factors.outputs.double(), exact[path].outputs, rtol=1e-3, atol=1e-5)


def _over_labels(model: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """S of every layer for one image: the sum over labels, weighted by the model's own chances."""
    chances = model.eval()(image).softmax(1)[0].detach()
    wanted: dict[str, Tensor] = {}
    for label, chance in enumerate(chances):
        for path, (_, g) in watched(model, image[0], _loss(torch.tensor([label]))).items():
            wanted[path] = wanted.get(path, torch.zeros(())) + chance * g.T @ g
    return wanted


def _error(wanted: dict[str, Tensor], found: dict[str, Factors]) -> float:
    return max(float((found[path].outputs - own).norm() / own.norm()) for path, own in wanted.items())


@pytest.mark.parametrize("fisher", ["true", "sampled"])
def test_the_true_fisher_is_the_mean_over_labels_as_the_model_gives_them_chances(
    fisher: Literal["true", "sampled"],
) -> None:
    model, image = network(), images(1)
    wanted = _over_labels(model, image)
    found = kronecker_factors(model, [image.expand(4000, -1, -1, -1)], options=FactorOptions(fisher=fisher))
    assert _error(wanted, found) < 0.06
    few = [image.expand(40, -1, -1, -1)]
    again, same, other = (
        kronecker_factors(model, few, options=FactorOptions(fisher=fisher, seed=seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(again["head"].outputs, same["head"].outputs)
    assert not torch.equal(again["head"].outputs, other["head"].outputs)


def test_signs_need_fewer_images_than_labels_where_a_network_is_sure() -> None:
    """A label with a chance of a thousandth is drawn by no image of a hundred, and then there is no gradient at all."""
    model, image = network(), images(1)
    with torch.no_grad():
        model.get_parameter("head.bias").copy_(torch.tensor([9.0, 0.0, 2.0]))
    wanted, batches = _over_labels(model, image), [image.expand(200, -1, -1, -1)]
    assert _error(wanted, kronecker_factors(model, batches)) < 0.25
    assert _error(wanted, kronecker_factors(model, batches, options=FactorOptions(fisher="sampled"))) > 0.9


def test_running_averages_begin_with_the_first_batch() -> None:
    options = FactorOptions(fisher="empirical", decay=0.9)
    found = kronecker_factors(network(), _batches(2), options=options, loss=F.cross_entropy)["dilated"]
    parts = [kronecker_factors(network(), [b], options=EMPIRICAL, loss=F.cross_entropy)["dilated"] for b in _batches(2)]
    for name in ("inputs", "outputs"):
        wanted = getattr(parts[0], name)
        for part in parts[1:]:
            wanted = 0.9 * wanted + 0.1 * getattr(part, name)
        torch.testing.assert_close(getattr(found, name), wanted)


def test_damping_is_split_by_the_mean_eigenvalues() -> None:
    plain = kronecker_factors(network(), _batches(5), options=EMPIRICAL, loss=F.cross_entropy)["point"]
    ratio = float(plain.inputs[0].trace() / 4 / (plain.outputs.trace() / 5)) ** 0.5
    found = damped(plain, 1e-3)
    torch.testing.assert_close(
        found.inputs[0], plain.inputs[0] + (1e-3 * ratio) ** 0.5 * torch.eye(4, dtype=torch.float64)
    )
    torch.testing.assert_close(found.outputs, plain.outputs + (1e-3 / ratio) ** 0.5 * torch.eye(5, dtype=torch.float64))


@pytest.mark.parametrize("path", ["stem", "dilated", "strided", "grouped", "head"])
def test_squared_gradients_are_those_of_single_images(path: str) -> None:
    model = network()
    weight = model.get_parameter(f"{path}.weight")
    squares, biases = [], []
    for image, label in zip(images(COUNT), LABELS, strict=True):
        model.zero_grad()
        F.cross_entropy(model.eval()(image[None]), label[None]).backward()
        assert weight.grad is not None
        squares.append(weight.grad.flatten(1).square())
        bias = dict(model.named_parameters()).get(f"{path}.bias")
        if bias is not None and bias.grad is not None:
            biases.append(bias.grad.square())
    found = squared_gradients(network(), _batches(2), options=EMPIRICAL, loss=F.cross_entropy)[path]
    torch.testing.assert_close(found[0], torch.stack(squares).mean(0))
    if biases:
        torch.testing.assert_close(found[1], torch.stack(biases).mean(0))


def test_squared_gradients_in_a_basis_are_those_of_rotated_gradients() -> None:
    generator = torch.Generator().manual_seed(4)
    out, channel, patch = (
        torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))[0] for n in (4, 4, 36)
    )
    model = network()
    gradients = []
    for image, label in zip(images(COUNT), LABELS, strict=True):
        model.zero_grad()
        F.cross_entropy(model.eval()(image[None]), label[None]).backward()
        gradient = model.get_parameter("dilated.weight").grad
        assert gradient is not None
        gradients.append(gradient.flatten(2))
    stacked = torch.stack(gradients)
    for basis, wanted in (
        (channel, torch.einsum("or,noik,ij->nrjk", out, stacked, channel).flatten(2)),
        (patch, out.T @ stacked.flatten(2) @ patch),
    ):
        found = squared_gradients(
            network(), _batches(2), options=EMPIRICAL, loss=F.cross_entropy, bases={"dilated": (out, basis)}
        )["dilated"][0]
        torch.testing.assert_close(found, wanted.square().mean(0))


def test_the_model_is_left_as_it_was() -> None:
    model = network().train()
    model.get_parameter("point.weight").requires_grad_(False)
    model.get_parameter("head.weight").grad = torch.ones(3, 20, dtype=torch.float64)
    before, state = deepcopy(model.state_dict()), torch.get_rng_state()
    kronecker_factors(model, _batches(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(module.training for module in model.modules())
    assert [name for name, parameter in model.named_parameters() if not parameter.requires_grad] == ["point.weight"]
    assert [name for name, parameter in model.named_parameters() if parameter.grad is not None] == ["head.weight"]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_layer_that_is_called_twice_counts_both_calls() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3).double()

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.layer(torch.tanh(self.layer(x)))
            return result

    model = Twice()
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    both = torch.cat([x, torch.tanh(model.layer(x)).detach()])
    found = kronecker_factors(model, [x])["layer"]
    torch.testing.assert_close(found.inputs[0], both.T @ both / 14)
    assert (found.images, found.positions) == (7, 2)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(PlanError, match="wanted a loss of outputs and targets"):
        kronecker_factors(network(), _batches(2), options=EMPIRICAL)
    with pytest.raises(PlanError, match="wanted batches to look at"):
        kronecker_factors(network(), None)
    with pytest.raises(PlanError, match=r"wanted scores \[images, classes\]"):
        kronecker_factors(nn.Conv2d(1, 1, 1), [torch.zeros(1, 1, 2, 2)])
    with pytest.raises(ConfigError, match="fisher: wanted one of true, sampled, empirical, got 'real'"):
        FactorOptions(fisher="real")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="decay"):
        FactorOptions(decay=1.0)
    with pytest.raises(ConfigError, match="damping"):
        FactorOptions(damping=-1.0)
