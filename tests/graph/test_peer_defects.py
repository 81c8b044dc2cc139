"""What an established pruning library gets wrong or refuses, reproduced on its release 1.6.1: each must pass here.

Every model is pruned by the one-call function, in float64 with random weights; the proof must have been able to fail.
"""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import secateurs as sec
from secateurs.graph import trace
from tests.surgery._proof import SMALLEST_REACTION, assert_equal_masked, cut, make_case
from tests.zoo import ZOO

WRONG = (
    *(
        "shuffle_view",
        "channel_shuffle",
        "flip",
        "roll",
        "roll_back",
        "flatten_last",
        "step",
        "step_from_one",
        "step_odd",
    ),
)
"""Zoo models of kinds for which the peer gives networks that run and compute something else."""
FAILING = (
    *("pixel_shuffle", "pixel_unshuffle", "gate_glu", "reorder_last", "per_unit_parameters"),
    *("product_einsum_implicit", "product_matmul_left", "functional_linear", "held_plain", "held_grouped"),
    *("convolved_multiplied_2d", "convolved_grouped_transposed_2d", "derived_weight_norm", "derived_spectral_norm"),
    *("derived_old_weight_norm", "derived_old_spectral_norm", "lstm_plain", "gru_deep"),
)
"""Zoo models of kinds on which it fails, while pruning or in the first call afterwards."""


@pytest.mark.parametrize("name", [*WRONG, *FAILING])
def test_units_are_cut_where_the_peer_fails_or_is_wrong(name: str) -> None:
    found = make_case(name, ZOO[name])
    assert found.graph.axes, str(found.graph)
    assert_equal_masked(found.model, found.smaller, found.plan, found.call())
    assert found.plan.cost.params < found.plan.before.params


@pytest.mark.parametrize("frozen", ["all", "half"])
def test_frozen_models_are_pruned_like_others(frozen: str) -> None:
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
    for parameter in list(model.parameters())[: None if frozen == "all" else 2]:
        parameter.requires_grad_(False)
    flags = [parameter.requires_grad for parameter in model.parameters()]
    result = sec.prune(model, torch.randn(2, 6), remove={"params": 0.5})
    assert result.report.verified
    assert result.plan.cost.params <= result.plan.before.params / 2
    assert [parameter.requires_grad for parameter in result.model.parameters()] == flags


@pytest.mark.parametrize("training", [True, False])
def test_the_training_flag_is_kept(training: bool) -> None:
    model = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.5), nn.BatchNorm1d(16), nn.Linear(16, 4)).train(training)
    model[2].eval()
    before = [module.training for module in model.modules()]
    result = sec.prune(model, torch.randn(3, 6), remove={"params": 0.5})
    assert [module.training for module in model.modules()] == before
    assert [module.training for module in result.model.modules()] == before


def test_nothing_of_one_model_is_left_when_another_is_pruned() -> None:
    def prune() -> weakref.ref[nn.Module]:
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.MultiheadAttention(8, 2), nn.Conv2d(8, 4, 1))[::2]
        result = sec.prune(model, torch.randn(1, 3, 5, 5), remove={"params": 0.3})
        assert result.report.verified
        return weakref.ref(model)

    first = prune()
    gc.collect()
    assert first() is None


def test_a_pruned_model_does_not_keep_the_dense_one() -> None:
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4))
    dense = weakref.ref(model)
    smaller = sec.prune(model, torch.randn(2, 6), remove={"params": 0.5}).model
    del model
    gc.collect()
    assert dense() is None
    assert smaller(torch.randn(2, 6)).shape == (2, 4)


class Unlayered(nn.Module):
    """Work that no layer does."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.mix = nn.Parameter(torch.randn(16, 8)), nn.Parameter(torch.randn(16, 16))

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.query)
        return F.scaled_dot_product_attention(y, y, y) @ self.mix


def test_operations_are_counted_that_are_no_layers() -> None:
    batch, length = 2, 5
    linear, products, attention = length * 8 * 16, length * 16 * 16, 2 * length * length * 16
    assert sec.cost(Unlayered(), torch.randn(batch, length, 8)).macs == batch * (linear + products + attention)


@pytest.mark.parametrize("make", [torch.optim.Adam, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)])
def test_the_optimizer_holds_the_parameters_that_live(make: Callable[[Any], torch.optim.Optimizer]) -> None:
    model = nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.Tanh(), nn.Linear(16, 4))
    optimizer = make(model.parameters())
    model(torch.randn(8, 6)).square().mean().backward()
    optimizer.step()
    result = sec.prune(model, torch.randn(3, 6), remove={"params": 0.5}, optimizer=optimizer)
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    assert held == {id(parameter) for parameter in result.model.parameters()}
    before = [parameter.detach().clone() for parameter in result.model.parameters()]
    optimizer.zero_grad()
    result.model(torch.randn(8, 6)).square().mean().backward()
    optimizer.step()
    moved = [(a - b).abs().max() for a, b in zip(before, result.model.parameters(), strict=True)]
    assert all(change > 0 for change in moved)


def test_a_block_size_does_not_take_more_than_it_must() -> None:
    """10 % of 16 units in blocks of 8 is one block; of 80 units, one block too, not 40 %."""
    for width in (16, 80):
        model = nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, 4))
        plan = sec.prune(model, torch.randn(2, 6), remove={"units": 0.1}, multiple_of=8).plan
        assert len(plan.removed["0"]) == 8


def test_ties_in_a_global_ranking_still_meet_the_budget() -> None:
    model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU())
    model.append(nn.Conv2d(16, 4, 1))
    graph = trace(model, torch.randn(1, 3, 8, 8))
    equal = {axis.name: torch.ones(axis.size) for axis in graph.axes}
    plan = sec.select(graph, equal, remove={"params": 0.5})
    assert plan.cost.params <= plan.before.params / 2
    assert all(len(units) < graph[name].size for name, units in plan.removed.items())
    x = torch.randn(1, 3, 8, 8)
    model = model.eval()
    assert (cut(model, plan)(x) - model(x)).abs().max() > SMALLEST_REACTION


def test_units_out_of_range_are_refused() -> None:
    graph = trace(nn.Sequential(nn.Linear(6, 10), nn.Linear(10, 4)), torch.randn(2, 6))
    with pytest.raises(sec.SecateursError, match=r"unit indices from 0 to 9, got 99"):
        graph.plan({"0": [99]})
