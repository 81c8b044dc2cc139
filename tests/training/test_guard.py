"""A step that is taken back leaves every bit as it was; one that is kept is as if nobody had watched."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer, RMSprop

from secateurs.training._ema import Average
from secateurs.training._guard import Guard
from tests.training._toys import Network, make_network, tensors_of, toy_images

OPTIMIZERS: dict[str, Callable[[Network], Optimizer]] = {
    "sgd": lambda model: SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1),
    "fused sgd": lambda model: SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1, fused=True),
    "adam": lambda model: Adam(model.parameters(), lr=0.1, weight_decay=0.1),
    "fused adam": lambda model: Adam(model.parameters(), lr=0.1, weight_decay=0.1, fused=True),
    "rmsprop": lambda model: RMSprop(model.parameters(), lr=0.1, momentum=0.9),
}


class Trainer:
    """One model with an optimizer and an average, stepped by hand."""

    def __init__(self, make: Callable[[Network], Optimizer]) -> None:
        self.model = make_network()
        self.model.drop.p = 0.0
        self.optimizer = make(self.model)
        self.average = Average(self.model, 0.5)
        self.guard = Guard(self.model, self.optimizer, self.average)

    def step(self, seed: int, *, spoil: float = 0.0, guarded: bool = True) -> None:
        images, labels = toy_images(16, seed=seed)
        if guarded:
            self.guard.save()
        loss = nn.functional.cross_entropy(self.model(images + spoil), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.average.update(100)
        if guarded:
            self.guard.restore_unless(loss.isfinite())

    def tensors(self) -> dict[str, Tensor]:
        states = self.optimizer.state_dict()["state"]
        state = {f"{index}.{key}": value.clone() for index, kept in states.items() for key, value in kept.items()}
        averaged = {f"average.{name}": value.clone() for name, value in self.average.tensors().items()}
        return tensors_of(self.model) | state | averaged


def assert_same_bits(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value.view(-1).view(torch.uint8), second[name].view(-1).view(torch.uint8)), name


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("spoil", [float("nan"), float("inf")])
def test_a_bad_step_leaves_no_trace(make: Callable[[Network], Optimizer], spoil: float) -> None:
    watched, plain = Trainer(make), Trainer(make)
    for seed in range(3):
        watched.step(seed)
        before = watched.tensors()
        watched.step(9, spoil=spoil)
        assert_same_bits(watched.tensors(), before)
        plain.step(seed, guarded=False)
    assert_same_bits(watched.tensors(), plain.tensors())


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_bad_first_step_leaves_an_optimizer_that_begins(make: Callable[[Network], Optimizer]) -> None:
    """The state that the optimizer made in that step is zero, which is how it begins."""
    watched, plain = Trainer(make), Trainer(make)
    before = tensors_of(watched.model)
    watched.step(9, spoil=float("nan"))
    assert_same_bits(tensors_of(watched.model), before)
    for seed in range(2):
        watched.step(seed)
        plain.step(seed, guarded=False)
    assert_same_bits(watched.tensors(), plain.tensors())


def test_every_element_size_comes_back() -> None:
    model = nn.Module()
    model.register_parameter("narrow", nn.Parameter(torch.randn(3).bfloat16()))
    model.register_parameter("wide", nn.Parameter(torch.randn(2, 2, dtype=torch.float64)))
    model.register_buffer("flags", torch.tensor([True, False]))
    model.register_buffer("count", torch.tensor(5, dtype=torch.int64))
    model.register_buffer("shared", torch.zeros(()).expand(4))
    before = tensors_of(model)
    guard = Guard(model, SGD(model.parameters(), lr=0.1), None)
    guard.save()
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.fill_(float("nan"))
        model.get_buffer("flags").logical_not_()
        model.get_buffer("count").add_(1)
    guard.restore_unless(torch.tensor(False))
    assert_same_bits(tensors_of(model), before)
