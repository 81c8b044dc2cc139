from typing import Literal

import pytest
import torch
from torch import nn

from secateurs._errors import TrainingError
from secateurs.training import TrainOptions, make_optimizer, train
from secateurs.training._optimizer import move_state
from tests.training._toys import make_network, split_batches, toy_images


def test_options_reach_the_optimizer() -> None:
    options = TrainOptions(lr=0.3, momentum=0.8, nesterov=True, weight_decay=0.01)
    (group,) = make_optimizer(make_network(), options).param_groups
    assert (group["lr"], group["momentum"], group["nesterov"], group["weight_decay"]) == (0.3, 0.8, True, 0.01)
    adamw = make_optimizer(make_network(), TrainOptions(optimizer="adamw", weight_decay=0.02))
    assert isinstance(adamw, torch.optim.AdamW)
    assert adamw.param_groups[0]["weight_decay"] == 0.02
    adam = make_optimizer(make_network(), TrainOptions(optimizer="adam", weight_decay=0.03))
    assert type(adam) is torch.optim.Adam
    assert adam.param_groups[0]["weight_decay"] == 0.03
    rmsprop = make_optimizer(make_network(), TrainOptions(optimizer="rmsprop", momentum=0.7, weight_decay=0.04))
    assert isinstance(rmsprop, torch.optim.RMSprop)
    assert (rmsprop.param_groups[0]["momentum"], rmsprop.param_groups[0]["weight_decay"]) == (0.7, 0.04)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_a_fused_step_is_the_plain_one_to_within_rounding(
    name: Literal["sgd", "adam", "adamw"], order: torch.memory_format
) -> None:
    options = TrainOptions(optimizer=name, lr=0.1, weight_decay=0.1, nesterov=name == "sgd")
    results = []
    for fused in (True, False):
        layer = nn.Conv2d(3, 8, 3, bias=False)
        layer.weight.data = (torch.arange(216) / 216).view(8, 3, 3, 3).contiguous(memory_format=order)
        optimizer = make_optimizer(layer, options)
        assert optimizer.param_groups[0]["fused"] is True
        optimizer.param_groups[0]["fused"] = fused
        for step in range(3):
            layer.weight.grad = (layer.weight.detach() * (step + 1)).sin()
            optimizer.step()
        results.append(layer.weight.detach())
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-6)


def test_frozen_parameters_are_left_out() -> None:
    model = make_network()
    model.conv.requires_grad_(False)
    model.norm.requires_grad_(False)
    held = make_optimizer(model, TrainOptions()).param_groups[0]["params"]
    assert [id(p) for p in held] == [id(p) for p in model.head.parameters()]
    before = model.conv.weight.detach().clone()
    train(model, split_batches(*toy_images(64)), TrainOptions(epochs=1, device="cpu"))
    assert torch.equal(model.conv.weight, before)


def test_nothing_to_train_is_refused() -> None:
    with pytest.raises(TrainingError, match="Unfreeze"):
        make_optimizer(make_network().requires_grad_(False), TrainOptions())


def test_an_optimizer_of_another_model_is_refused_and_changes_nothing() -> None:
    model, other = make_network(), make_network()
    before = model.head.weight.detach().clone()
    foreign = torch.optim.SGD(other.parameters(), lr=0.1)
    with pytest.raises(TrainingError, match="6 of 6 that belong to another model"):
        train(model, split_batches(*toy_images(64)), TrainOptions(epochs=1, device="cpu"), optimizer=foreign)
    assert torch.equal(model.head.weight, before)


def test_a_given_optimizer_goes_on_with_its_momentum() -> None:
    """One run of two epochs equals two runs of one epoch that share the optimizer."""
    batches = split_batches(*toy_images(128))
    whole, halves = make_network(), make_network()
    # Dropout is keyed by epoch, and the second half starts at epoch 0 again.
    whole.drop.p = halves.drop.p = 0.0
    options = TrainOptions(epochs=2, schedule="constant", lr=0.05, device="cpu")
    train(whole, batches, options)
    once = TrainOptions(epochs=1, schedule="constant", lr=0.05, device="cpu")
    first = train(halves, batches, once)
    second = train(halves, batches, once, optimizer=first.optimizer)
    assert second.optimizer is first.optimizer
    assert torch.equal(whole.head.weight, halves.head.weight)
    assert torch.equal(whole.conv.weight, halves.conv.weight)


def test_the_schedule_sets_the_rate_and_nothing_else() -> None:
    model = make_network()
    optimizer = torch.optim.SGD(
        [
            {"params": [*model.conv.parameters(), *model.norm.parameters()], "lr": 9.0},
            {"params": model.head.parameters(), "momentum": 0.5},
        ],
        lr=7.0,
        momentum=0.9,
    )
    options = TrainOptions(epochs=1, schedule="constant", lr=0.05, momentum=0.1, device="cpu")
    train(model, split_batches(*toy_images(64)), options, optimizer=optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.05]
    assert [group["momentum"] for group in optimizer.param_groups] == [0.9, 0.5]


def test_state_takes_the_memory_order_of_its_parameter() -> None:
    layer = nn.Conv2d(3, 4, 3)
    layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    momentum = torch.randn(4, 3, 3, 3)
    optimizer.state[layer.weight]["momentum_buffer"] = momentum
    move_state(optimizer)
    moved = optimizer.state[layer.weight]["momentum_buffer"]
    assert moved.stride() == layer.weight.stride() != momentum.stride()
    assert torch.equal(moved, momentum)
