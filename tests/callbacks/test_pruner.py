"""Cuts during training: a target along a schedule, the same parameters and optimizer all the way."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

import secateurs as sec
from secateurs.callbacks import IterativePruner
from secateurs.selection import cut_ratios


def _net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 24), nn.ReLU(), nn.Linear(24, 4))


def _train(model: nn.Module, optimizer: Optimizer, pruner: IterativePruner | None, steps: int) -> list[int]:
    """Parameters after every step."""
    generator = torch.Generator().manual_seed(1)
    sizes = []
    for _ in range(steps):
        x, y = torch.randn(8, 6, generator=generator), torch.randint(4, (8,), generator=generator)
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()
        if pruner is not None:
            pruner.step(model, optimizer)
        sizes.append(sum(parameter.numel() for parameter in model.parameters()))
    return sizes


X = torch.randn(2, 6)


def test_every_cut_meets_its_part_of_the_schedule_by_the_least_excess() -> None:
    model = _net()
    dense = sum(parameter.numel() for parameter in model.parameters())
    pruner = IterativePruner(args=X, remove={"params": 0.6}, cuts=3, every=2, schedule="cubic")
    sizes = _train(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), pruner, 8)
    assert sizes[0] == dense
    ratios = cut_ratios(0.6, 3, "cubic")
    largest = 6 + 24 + 1 + 1  # what a unit of the first layer takes with it
    for ratio, size in zip(ratios, (sizes[1], sizes[3], sizes[5]), strict=True):
        assert dense * (1 - ratio) - 2 * largest < size <= dense * (1 - ratio)
    assert sizes[5:] == [sizes[5]] * 3
    assert pruner.finished


def test_the_optimizer_goes_on_as_with_a_cut_made_by_hand() -> None:
    model, other = _net(), _net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    pruner = IterativePruner(args=X, remove={"macs": 0.5}, cuts=1, every=3)
    _train(model, optimizer, pruner, 3)
    by_hand = torch.optim.AdamW(other.parameters(), lr=0.01)
    _train(other, by_hand, None, 3)
    result = sec.prune(other, X, remove={"macs": 0.5}, optimizer=by_hand)
    assert scheduler.optimizer is optimizer
    for mine, theirs in zip(model.parameters(), result.model.parameters(), strict=True):
        assert any(mine is held for group in optimizer.param_groups for held in group["params"])
        assert torch.equal(mine, theirs)
        for name in ("exp_avg", "exp_avg_sq", "step"):
            assert torch.equal(optimizer.state[mine][name], by_hand.state[theirs][name])
    _train(model, optimizer, pruner, 2)


def test_parameters_stay_the_same_objects() -> None:
    model = _net()
    before = list(model.parameters())
    optimizer = torch.optim.SGD(before, lr=0.1, momentum=0.9)
    pruner = IterativePruner(args=X, remove={"macs": 0.5}, cuts=2, start=0)
    assert pruner.step(model, optimizer) is not None
    assert all(old is new for old, new in zip(before, model.parameters(), strict=True))
    assert pruner.step(model, optimizer) is not None
    assert pruner.step(model, optimizer) is None
    assert pruner.cuts_done == 2


def test_a_loss_of_before_the_cut_may_be_alive() -> None:
    model = _net()
    held: list[Tensor] = []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    pruner = IterativePruner(args=X, remove={"macs": 0.5}, cuts=3)
    for _ in range(4):
        held.append(model(X).square().sum())
        held[-1].backward()
        optimizer.step()
        optimizer.zero_grad()
        pruner.step(model, optimizer)
    assert pruner.finished
    last = model(X).square().sum()
    last.backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in model.parameters())


def test_shares_take_equally_many_of_equal_axes() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))
    pruner = IterativePruner(args=X, shares={"*": 0.5}, cuts=3, schedule="linear")
    widths = []
    for _ in range(4):
        pruner.step(model)
        widths.append(tuple(len(layer.weight) for layer in model if isinstance(layer, nn.Linear)))
    assert widths == [(26, 26, 4), (20, 20, 4), (15, 15, 4), (15, 15, 4)]


def test_wrappers_around_model_and_optimizer_are_looked_through() -> None:
    class Wrapper:
        def __init__(self, optimizer: Optimizer) -> None:
            self.optimizer = optimizer

    model = _net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    _train(model, optimizer, None, 1)
    pruner = IterativePruner(args=X, remove={"macs": 0.5}, cuts=1)
    wrapped: Any = Wrapper(optimizer)
    pruner.step(nn.DataParallel(model), wrapped)
    for parameter in model.parameters():
        assert optimizer.state[parameter]["momentum_buffer"].shape == parameter.shape


def test_what_does_not_make_sense_is_refused() -> None:
    with pytest.raises(sec.ConfigError, match="IterativePruner remove: wanted some of macs, params, bytes"):
        IterativePruner(args=X, remove={"macz": 0.5})
    with pytest.raises(sec.ConfigError, match="wanted a target in either remove or shares, got neither"):
        IterativePruner(args=X)
    with pytest.raises(sec.ConfigError, match="wanted no scope beside shares"):
        IterativePruner(args=X, shares={"*": 0.5}, rules={"scope": "global"})
    with pytest.raises(sec.ConfigError, match="every: wanted an integer of at least 1, got 0"):
        IterativePruner(args=X, remove={"macs": 0.5}, every=0)
    with pytest.raises(sec.ConfigError, match="Did you mean 'protect'"):
        IterativePruner(args=X, remove={"macs": 0.5}, rules={"protekt": ["0"]})
    with pytest.raises(sec.PlanError, match="schedule"):
        IterativePruner(args=X, remove={"macs": 0.5}, schedule="cubik")  # type: ignore[arg-type]
    wrong: Any = "adam"
    with pytest.raises(sec.PlanError, match=r"wanted a torch\.optim\.Optimizer, got str"):
        IterativePruner(args=X, remove={"macs": 0.5}).step(_net(), wrong)


def test_several_ranks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secateurs._distributed.world", lambda: 2)
    model = _net()
    before = [tensor.clone() for tensor in model.parameters()]
    with pytest.raises(sec.PlanError, match="wanted a single process, got 2 ranks"):
        IterativePruner(args=X, remove={"macs": 0.5}).step(model)
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def test_data_driven_criteria_get_their_batches() -> None:
    model = _net()
    batches: list[tuple[Tensor, Tensor]] = [(torch.randn(8, 6), torch.randint(4, (8,)))]
    pruner = IterativePruner(
        args=X, remove={"macs": 0.4}, cuts=1, criterion="taylor", batches=batches, loss=F.cross_entropy
    )
    result = pruner.step(model)
    assert result is not None
    assert result.repair is None
