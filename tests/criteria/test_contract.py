"""What every criterion promises; a new one is tested as soon as it is in `__all__`."""

import inspect
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, is_dataclass

import pytest
import torch
from torch import Tensor, nn

from secateurs import criteria
from secateurs._errors import PlanError
from secateurs.criteria import Criterion, Scores
from secateurs.criteria._registry import _TABLE
from secateurs.graph import Graph, trace
from secateurs.statistics import FactorOptions
from tests.criteria._toys import TOYS, permute, toy


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a criterion says about itself.

    Attributes:
        criterion: an instance.
        degree: scores of c times the weights are c ** degree times the scores; 0 leaves them as they are.
        data: whether it needs batches and a loss.
        batches: how many of them it is given: of few images units may look alike.
        ties: whether units may have equal scores, by their nature.
        refuses: toys that it can say nothing about.
        reads_weights: whether scores follow the weights around when units change places.
        pinned: scores of `nn.Linear`'s units with weights [[3, 4], [0, 1], [-2, 0]], from the formula; for
            `Random` what the first version drew; None where a test of the criterion's own compares it with a reference.
    """

    criterion: Criterion
    degree: int | None
    reads_weights: bool = True
    data: bool = False
    batches: int = 2
    ties: bool = False
    refuses: tuple[str, ...] = ()
    pinned: tuple[float, ...] | None

    def __call__(self, graph: Graph) -> Scores:
        """The scores, on batches like the graph's own example where data are needed."""
        if not self.data:
            return self.criterion(graph)
        (x,) = graph.args
        generator = torch.Generator().manual_seed(3)
        inputs = [torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x) for _ in range(self.batches)]
        return self.criterion(graph, batches=[(inner, None) for inner in inputs], loss=_loss)


def _loss(outputs: Tensor, _targets: object) -> Tensor:
    return outputs.double().sin().sum()


_EMPIRICAL = FactorOptions(fisher="empirical", inputs="patch")  # no labels can be drawn from some toys

CLAIMS: Mapping[str, Claim] = {
    "Random": Claim(
        criterion=criteria.Random(), degree=0, reads_weights=False, pinned=(0.49410234, 0.74934572, 0.14199072)
    ),
    "Magnitude": Claim(criterion=criteria.Magnitude(), degree=1, pinned=(5, 1, 2)),
    "Magnitude p=1": Claim(criterion=criteria.Magnitude(p=1), degree=1, pinned=(7, 1, 2)),
    "Magnitude p=inf": Claim(criterion=criteria.Magnitude(p=float("inf")), degree=1, pinned=(4, 1, 2)),
    "Magnitude mean": Claim(criterion=criteria.Magnitude(normalize="mean"), degree=0, pinned=(1.875, 0.375, 0.75)),
    "MeanMagnitude": Claim(criterion=criteria.MeanMagnitude(), degree=1, pinned=(3.5, 0.5, 1)),
    "Contribution": Claim(criterion=criteria.Contribution(), degree=None, data=True, pinned=None),
    "Contribution maximum": Claim(
        criterion=criteria.Contribution(average=0.5, maximum=2.0), degree=None, data=True, pinned=None
    ),
    "Reconstruction": Claim(criterion=criteria.Reconstruction(), degree=None, data=True, pinned=None),
    "EdgePopup": Claim(criterion=criteria.EdgePopup(), degree=None, reads_weights=False, data=True, pinned=None),
    "EdgePopup relevant": Claim(
        criterion=criteria.EdgePopup(rank="relevant", scope="global", lr=1.0),
        degree=None,
        reads_weights=False,
        data=True,
        pinned=None,
    ),
    "UnitMem": Claim(criterion=criteria.UnitMem(), degree=None, data=True, batches=20, pinned=None),
    "UnitMem second": Claim(
        criterion=criteria.UnitMem(rest="second", at="norm"), degree=None, data=True, batches=20, pinned=None
    ),
    "Magnitude max": Claim(criterion=criteria.Magnitude(normalize="max"), degree=0, pinned=(1, 0.2, 0.4)),
    "LAMP": Claim(criterion=criteria.LAMP(), degree=0, pinned=(1, 1 / 30, 4 / 29)),
    "GeometricMedian": Claim(
        criterion=criteria.GeometricMedian(),
        degree=1,
        ties=True,  # two units are as far from each other
        pinned=(18**0.5 + 41**0.5, 18**0.5 + 5**0.5, 41**0.5 + 5**0.5),
    ),
    "BNScale": Claim(
        criterion=criteria.BNScale(), degree=1, refuses=("chain", "attention", "grouped", "pinned"), pinned=None
    ),
    "SynFlow": Claim(criterion=criteria.SynFlow(), degree=None, pinned=None),
    "Taylor": Claim(criterion=criteria.Taylor(), degree=None, data=True, pinned=None),
    "Taylor gate": Claim(criterion=criteria.Taylor(at="gate"), degree=None, data=True, pinned=None),
    "Fisher": Claim(criterion=criteria.Fisher(), degree=None, data=True, pinned=None),
    "Fisher weights": Claim(criterion=criteria.Fisher(at="weights"), degree=None, data=True, pinned=None),
    "KronOBD": Claim(
        criterion=criteria.KronOBD(factors=_EMPIRICAL), degree=None, data=True, refuses=("attention",), pinned=None
    ),
    "KronOBS": Claim(
        criterion=criteria.KronOBS(factors=_EMPIRICAL), degree=None, data=True, refuses=("attention",), pinned=None
    ),
    "COBD": Claim(
        criterion=criteria.COBD(factors=_EMPIRICAL), degree=None, data=True, refuses=("attention",), pinned=None
    ),
    "COBS": Claim(
        criterion=criteria.COBS(factors=_EMPIRICAL), degree=None, data=True, refuses=("attention",), pinned=None
    ),
    "SNIP": Claim(criterion=criteria.SNIP(), degree=None, data=True, pinned=None),
    "GraSP": Claim(criterion=criteria.GraSP(temperature=1), degree=None, data=True, pinned=None),
    "ActivationMean": Claim(criterion=criteria.ActivationMean(), degree=None, data=True, pinned=None),
    "ActivationMean signed": Claim(
        criterion=criteria.ActivationMean(absolute=False), degree=None, data=True, pinned=None
    ),
    "APoZ": Claim(criterion=criteria.APoZ(), degree=None, data=True, ties=True, pinned=None),
    "ActivationNorm": Claim(criterion=criteria.ActivationNorm(), degree=None, data=True, pinned=None),
    "ActivationNorm p=2": Claim(criterion=criteria.ActivationNorm(p=2), degree=None, data=True, pinned=None),
    "HRank": Claim(criterion=criteria.HRank(), degree=None, data=True, ties=True, pinned=None),
    "Normalized": Claim(
        criterion=criteria.Normalized(criterion=criteria.Magnitude()), degree=0, pinned=(1.875, 0.375, 0.75)
    ),
    "Average": Claim(
        criterion=criteria.Average(criteria=(criteria.Magnitude(), criteria.LAMP()), weights=(3, 1), by="max"),
        degree=0,
        pinned=(1, (3 * 0.2 + 1 / 30) / 4, (3 * 0.4 + 4 / 29) / 4),
    ),
    "Product": Claim(
        criterion=criteria.Product(criteria=(criteria.Magnitude(), criteria.Magnitude(p=1))),
        degree=2,
        pinned=(35, 1, 4),
    ),
    "Directed": Claim(
        criterion=criteria.Directed(criterion=criteria.Magnitude(), direction="hybrid"),
        degree=0,
        pinned=(1 / 3, 0, 2 / 3),
    ),
    "Directed highest": Claim(
        criterion=criteria.Directed(criterion=criteria.Magnitude(), direction="highest"), degree=1, pinned=(-5, -1, -2)
    ),
}
every_claim = pytest.mark.parametrize("claim", CLAIMS.values(), ids=list(CLAIMS))
every_toy = pytest.mark.parametrize("name", TOYS)


def _taken(claim: Claim, name: str) -> Graph:
    """The graph of a toy that the criterion does not refuse."""
    graph, _ = toy(name)
    if name in claim.refuses:
        with pytest.raises(PlanError):
            claim(graph)
        pytest.skip("refused, as claimed")
    return graph


def _public_criteria() -> dict[str, type[Criterion]]:
    public = {name: getattr(criteria, name) for name in criteria.__all__}
    return {
        name: value
        for name, value in public.items()
        if inspect.isclass(value) and issubclass(value, Criterion) and value is not Criterion
    }


def test_every_public_criterion_makes_a_claim() -> None:
    assert {type(claim.criterion).__name__ for claim in CLAIMS.values()} == set(_public_criteria())


def test_every_public_criterion_is_a_final_frozen_dataclass_with_a_name_for_recipes() -> None:
    for criterion in _public_criteria().values():
        assert is_dataclass(criterion)
        assert getattr(criterion, "__dataclass_params__").frozen  # noqa: B009 - typed as absent
        assert getattr(criterion, "__final__", False)
        assert criterion in _TABLE.values()


@every_toy
@every_claim
def test_scores_are_one_finite_number_per_unit(claim: Claim, name: str) -> None:
    graph = _taken(claim, name)
    scores = claim(graph)
    assert isinstance(scores, Scores)
    assert list(scores) == [axis.name for axis in graph.axes]
    for axis in graph.axes:
        assert scores[axis.name].shape == (axis.size,)
        assert scores[axis.name].isfinite().all()
        assert claim.ties or len(set(scores[axis.name].tolist())) == axis.size


@every_toy
@every_claim
def test_equal_weights_give_equal_scores_and_stay_as_they_are(claim: Claim, name: str) -> None:
    graph = _taken(claim, name)
    before = deepcopy(graph.model.state_dict())
    first, second = claim(graph), claim(toy(name)[0])
    for axis in graph.axes:
        assert torch.equal(first[axis.name], second[axis.name])
    for path, tensor in graph.model.state_dict().items():
        assert torch.equal(tensor, before[path])


@every_claim
def test_nothing_but_the_scores_is_left_behind(claim: Claim) -> None:
    graph, _ = toy("residual")
    model = graph.model.train()
    model.get_submodule("inner").eval()
    frozen = model.get_parameter("outer.weight").requires_grad_(False)
    gradients = {name: torch.full_like(parameter, 2.0) for name, parameter in model.named_parameters()}
    for name, parameter in model.named_parameters():
        parameter.grad = None if parameter is frozen else gradients[name]
    before, state = deepcopy(model.state_dict()), torch.get_rng_state()
    claim(graph)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()].count(False) == 1
    assert not model.get_submodule("inner").training
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad is (parameter is not frozen)
        assert parameter.grad is (None if parameter is frozen else gradients[name])
        assert torch.equal(gradients[name], torch.full_like(parameter, 2.0))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@every_toy
@every_claim
def test_scores_move_with_their_units(claim: Claim, name: str) -> None:
    if not claim.reads_weights:
        pytest.skip("does not look at the weights")
    _taken(claim, name)
    graph, x = toy(name, dtype=torch.float64)
    before, output = claim(graph), graph.model.eval()(x)
    # Units of a branch cannot change places alone, and go with those of their stream.
    ordinary = [(number, axis) for number, axis in enumerate(graph.axes) if axis.kind != "branch"]
    for number, axis in ordinary:
        order = torch.arange(axis.size).roll(1)
        fresh = toy(name, dtype=torch.float64)[0]
        permute(fresh, fresh.axes[number], order)
        torch.testing.assert_close(fresh.model.eval()(x), output)  # a permutation of units changes nothing else
        after = claim(fresh)
        for _, other in ordinary:
            wanted = before[other.name][order] if other is axis else before[other.name]
            torch.testing.assert_close(after[other.name], wanted)


@every_claim
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_dtype_is_scored_in_single_precision_at_least(claim: Claim, dtype: torch.dtype) -> None:
    model = toy("residual")[0].model.to(dtype)
    rounded = deepcopy(model).double()
    scores = claim(trace(model, (torch.zeros(1, 3, 4, 4, dtype=dtype),)))
    exact = claim(trace(rounded, (torch.zeros(1, 3, 4, 4, dtype=torch.float64),)))
    for name, values in scores.items():
        assert values.dtype in (torch.float32, torch.float64)
        assert values.dtype == torch.float64 or dtype != torch.float64
        if claim.data:  # half precision rounds what the model computes from them
            continue
        torch.testing.assert_close(values.double(), exact[name], rtol=1e-5, atol=0)


@every_claim
@pytest.mark.parametrize("factor", [1e-6, 3.0, 1e6])
def test_scores_scale_as_claimed(claim: Claim, factor: float) -> None:
    if claim.degree is None:
        pytest.skip("follows another law")
    graph, _ = toy("residual")
    before = claim(graph)
    with torch.no_grad():
        for parameter in graph.model.parameters():
            parameter.mul_(factor)
    after = claim(graph)
    for name, values in before.items():
        torch.testing.assert_close(after[name], values * factor**claim.degree, rtol=1e-5, atol=0)


@every_claim
def test_the_pinned_value(claim: Claim) -> None:
    if claim.pinned is None:
        pytest.skip("compared with a reference in a test of its own")
    scores = claim(_pinned())
    torch.testing.assert_close(scores["0"].double(), torch.tensor(claim.pinned, dtype=torch.float64), rtol=0, atol=1e-7)


@every_claim
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_weights_on_another_device_give_the_same_scores(claim: Claim) -> None:
    graph, x = toy("attention")
    here = claim(graph)
    there = claim(trace(deepcopy(graph.model).cuda(), (x.cuda(),)))
    for name, values in here.items():
        torch.testing.assert_close(there[name].cpu(), values)


def _pinned() -> Graph:
    layer = nn.Linear(2, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 4.0], [0.0, 1.0], [-2.0, 0.0]]))
    return trace(nn.Sequential(layer, nn.ReLU(), nn.Linear(3, 1)), (torch.zeros(1, 2),))
