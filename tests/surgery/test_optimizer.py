"""Optimizers through a cut: state is the kept part of the dense state, and the next step uses it."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from secateurs.graph import trace
from secateurs.surgery import apply
from tests.surgery._proof import third
from tests.surgery.test_apply import sliced
from tests.zoo import ZOO

Maker = Callable[[Any], torch.optim.Optimizer]

MAKERS: dict[str, Maker] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, foreach=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, amsgrad=True),
    "fused": lambda p: torch.optim.AdamW(p, lr=0.01, fused=True),
    "capturable_like": lambda p: torch.optim.NAdam(p, lr=0.01),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.9, centered=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.01),
    "adafactor": lambda p: torch.optim.Adafactor(p, lr=0.01),
    "adamax": lambda p: torch.optim.Adamax(p, lr=0.01),
}


def stepped(name: str, maker: Maker) -> tuple[nn.Module, torch.optim.Optimizer, Any]:
    """A model after three steps, and the plan of a third of every axis."""
    torch.manual_seed(0)
    model, arguments = ZOO[name].build().double().eval(), [ZOO[name].arguments(2)[0].double()]
    optimizer = maker(model.parameters())
    for _ in range(3):
        optimizer.zero_grad()
        model(*arguments).square().sum().backward()
        optimizer.step()
    graph = trace(model, tuple(arguments))
    return model, optimizer, graph.plan(third(graph))


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("name", ["residual", "flatten_view", "encoder_norm_first"])
def test_state_is_the_kept_part_of_the_dense_state(name: str, maker: str, inplace: bool) -> None:
    model, optimizer, plan = stepped(name, MAKERS[maker])
    dense = {path: copy.deepcopy(optimizer.state[p]) for path, p in model.named_parameters()}
    result = apply(model, plan, optimizer=optimizer, inplace=inplace)
    assert result.optimizer is optimizer
    held = [p for group in optimizer.param_groups for p in group["params"]]
    assert [id(p) for p in held] == [id(p) for p in result.model.parameters()]
    assert {id(p) for p in optimizer.state} <= {id(p) for p in held}
    for path, parameter in result.model.named_parameters():
        before = dense[path]
        assert before.keys() == optimizer.state[parameter].keys()
        for key, value in optimizer.state[parameter].items():
            assert_kept(before[key], value, plan.kept(path))


def assert_kept(dense: Any, small: Any, kept: tuple[Tensor, ...]) -> None:
    """Dims of size 1 in the state (factored moments, step counts) are no units."""
    if not isinstance(dense, Tensor) or dense.dim() == 0:
        assert dense == small
        return
    for dim, index in enumerate(kept):
        if dense.shape[dim] == int(max(index)) + 1 or dense.shape[dim] > 1:
            dense = dense.index_select(dim, index)
    assert torch.equal(dense, small)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("inplace", [False, True])
def test_training_goes_on(maker: str, inplace: bool) -> None:
    model, optimizer, plan = stepped("residual", MAKERS[maker])
    smaller = apply(model, plan, optimizer=optimizer, inplace=inplace).model
    before = [p.detach().clone() for p in smaller.parameters()]
    optimizer.zero_grad()
    smaller(ZOO["residual"].arguments(2)[0].double()).square().sum().backward()
    optimizer.step()
    assert all(not torch.equal(a, b) for a, b in zip(before, smaller.parameters(), strict=True))


@pytest.mark.parametrize("inplace", [False, True])
def test_the_next_momentum_step_by_hand(inplace: bool) -> None:
    """v <- 0.9 v + g + 0.01 w, w <- w - 0.1 v with v and w cut."""
    model, optimizer, plan = stepped("residual", MAKERS["momentum"])
    weights = {path: p.detach().clone() for path, p in model.named_parameters()}
    velocity = {path: optimizer.state[p]["momentum_buffer"].clone() for path, p in model.named_parameters()}
    smaller = apply(model, plan, optimizer=optimizer, inplace=inplace).model
    optimizer.zero_grad()
    smaller(ZOO["residual"].arguments(2)[0].double()).square().sum().backward()
    grads = {path: p.grad.clone() for path, p in smaller.named_parameters() if p.grad is not None}
    optimizer.step()
    for path, parameter in smaller.named_parameters():
        w, v = sliced(weights[path], plan.kept(path)), sliced(velocity[path], plan.kept(path))
        v = 0.9 * v + grads[path] + 0.01 * w
        torch.testing.assert_close(parameter.detach(), w - 0.1 * v, rtol=1e-12, atol=1e-14)


def test_groups_keep_their_options_and_foreign_parameters() -> None:
    model, _, plan = stepped("residual", MAKERS["sgd"])
    foreign = nn.Parameter(torch.ones(6))
    early = [p for path, p in model.named_parameters() if path.startswith("stem")]
    late = [p for path, p in model.named_parameters() if not path.startswith("stem")]
    groups = [{"params": early, "lr": 0.5}, {"params": [*late, foreign], "weight_decay": 0.1}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    optimizer.state[foreign]["momentum_buffer"] = torch.ones(6)
    apply(model, plan, optimizer=optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.1]
    assert optimizer.param_groups[1]["params"][-1] is foreign
    assert torch.equal(optimizer.state[foreign]["momentum_buffer"], torch.ones(6))
