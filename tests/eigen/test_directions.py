"""Bases and importances against the full Kronecker product, and Tucker's best approximation."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs._errors import ConfigError
from secateurs.eigen import EigenOptions, FactorOptions, directions_of
from secateurs.eigen._build import pieces
from secateurs.eigen._tucker import tucker
from secateurs.statistics import Factors, kronecker_factors
from tests.statistics._nets import images, network

BATCHES = [(images(5), torch.tensor([0, 2, 1, 1, 0]))]
EMPIRICAL = FactorOptions(fisher="empirical")
PATCH = FactorOptions(fisher="empirical", inputs="patch")


def _factors(options: FactorOptions, path: str) -> Factors:
    return kronecker_factors(network(), BATCHES, options=options, loss=F.cross_entropy)[path]


@pytest.mark.parametrize("path", ["dilated", "head"])
@pytest.mark.parametrize("options", [EMPIRICAL, PATCH], ids=["channel", "patch"])
def test_importance_is_what_the_quadratic_form_says_of_each_direction_alone(path: str, options: FactorOptions) -> None:
    """delta' (A (x) S) delta for the part of W on one pair of eigenvectors, summed over pairs and offsets."""
    model, factors = network(), _factors(options, path)
    found = directions_of(model, BATCHES, options=EigenOptions(factors=options), loss=F.cross_entropy)[1][path]
    weight = model.get_parameter(f"{path}.weight").detach()
    flat = weight.flatten(1)[:, :, None] if options.inputs == "patch" or weight.dim() == 2 else weight.flatten(2)
    fisher = torch.kron(factors.inputs[0], factors.outputs)
    left, right = torch.linalg.eigh(factors.outputs)[1], torch.linalg.eigh(factors.inputs[0])[1]
    wanted = torch.zeros(len(left), len(right), dtype=torch.float64)
    for row, u in enumerate(left.T):
        for column, v in enumerate(right.T):
            for offset in range(flat.shape[2]):
                delta = (u @ flat[:, :, offset] @ v) * torch.outer(u, v)
                vec = delta.T.reshape(-1)
                wanted[row, column] += vec @ fisher @ vec
    scale = float(wanted.sum())
    torch.testing.assert_close(found.rows, wanted.sum(1), rtol=1e-8, atol=1e-9 * scale)
    torch.testing.assert_close(found.columns, wanted.sum(0), rtol=1e-8, atol=1e-9 * scale)


@pytest.mark.parametrize("options", [EMPIRICAL, PATCH], ids=["channel", "patch"])
def test_corrected_eigenvalues_are_those_of_single_images(options: FactorOptions) -> None:
    model = network()
    chosen = EigenOptions(factors=options, ekfac=True)
    found = directions_of(model, BATCHES, options=chosen, loss=F.cross_entropy)[1]["dilated"]
    squares = []
    for image, label in zip(*BATCHES[0], strict=True):
        model.zero_grad()
        F.cross_entropy(model.eval()(image[None]), label[None]).backward()
        gradient = model.get_parameter("dilated.weight").grad
        assert gradient is not None
        flat = gradient.flatten(1)[:, :, None] if options.inputs == "patch" else gradient.flatten(2)
        squares.append(torch.einsum("or,oik,ic->rck", found.left, flat, found.right).square())
    importance = (found.weight.square() * torch.stack(squares).mean(0)).sum(2)
    torch.testing.assert_close(found.rows, importance.sum(1))
    torch.testing.assert_close(found.columns, importance.sum(0))


def test_normalized_importances_are_shares_of_their_layer() -> None:
    chosen = EigenOptions(factors=EMPIRICAL, normalize=True)
    for one in directions_of(network(), BATCHES, options=chosen, loss=F.cross_entropy)[1].values():
        assert float(one.rows.sum()) == pytest.approx(1)
        assert float(one.columns.sum()) == pytest.approx(1)


def test_all_directions_multiply_out_to_the_weight() -> None:
    model = network()
    for options in (EMPIRICAL, PATCH):
        found = directions_of(model, BATCHES, options=EigenOptions(factors=options), loss=F.cross_entropy)[1]
        assert "grouped" not in found
        for path, one in found.items():
            everything = tuple(range(len(one.right))), tuple(range(len(one.left)))
            weight = model.get_parameter(f"{path}.weight").detach().reshape(-1)
            for whole in (pieces(one, *everything, "directions"), pieces(one, *everything, "tucker")):
                torch.testing.assert_close(whole.weight.reshape(-1), weight)


def _random(*sizes: int) -> Tensor:
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_tucker_finds_a_kernel_of_these_ranks() -> None:
    left, core, right = torch.linalg.qr(_random(7, 3))[0], _random(3, 2, 4), torch.linalg.qr(_random(6, 2))[0]
    weight = torch.einsum("or,rck,ic->oik", left, core, right)
    found = tucker(weight, 3, 2)
    torch.testing.assert_close(torch.einsum("or,rck,ic->oik", *found), weight)
    for factor in (found[0], found[2]):
        torch.testing.assert_close(factor.T @ factor, torch.eye(factor.shape[1], dtype=torch.float64))


def test_tucker_is_nearer_to_the_kernel_than_any_choice_of_directions() -> None:
    weight = _random(6, 5, 4)
    best = tucker(weight, 2, 3)
    error = float((weight - torch.einsum("or,rck,ic->oik", *best)).norm())
    for first in range(5):
        for second in range(3):
            cut = torch.zeros_like(weight)
            cut[first : first + 2, second : second + 3] = weight[first : first + 2, second : second + 3]
            assert error < float((weight - cut).norm())


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="method: wanted 'directions' or 'tucker'"):
        EigenOptions(method="cp")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="limit: wanted a ratio"):
        EigenOptions(limit=1.0)


def test_importance_is_twice_what_is_measured_when_a_direction_fades() -> None:
    """Divergence of the model's labels, where the product of the factors is the Fisher matrix: for one image."""
    generator = torch.Generator().manual_seed(3)
    weight, x = (torch.randn(*size, generator=generator, dtype=torch.float64) for size in ((4, 5), (1, 5)))
    model = nn.Sequential(nn.Linear(5, 4, bias=False)).double()
    layer = model.get_parameter("0.weight")
    with torch.no_grad():
        layer.copy_(weight)
        before = model(x).log_softmax(1)
        found = directions_of(model, [x.expand(20000, -1)])[1]["0"]
        step = 0.05
        for row in range(4):
            faded = found.weight[:, :, 0].clone()
            faded[row] *= 1 - step
            layer.copy_(found.left @ faded @ found.right.T)
            growth = float((before.exp() * (before - model(x).log_softmax(1))).sum())
            assert 2 * growth / step**2 == pytest.approx(float(found.rows[row]), rel=0.1, abs=1e-6)
