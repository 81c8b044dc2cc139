"""Options that act on a step: clipping, averages, steps taken back."""

from dataclasses import replace
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from secateurs._errors import TrainingError
from secateurs.training import TrainOptions, evaluate, learning_rate, train
from tests.training._toys import make_network, split_batches, tensors_of, toy_images

TRAIN, TEST = toy_images(192, seed=1), split_batches(*toy_images(100, seed=2))
PLAIN = TrainOptions(epochs=2, lr=0.1, weight_decay=0.0, schedule="constant", precision="32", device="cpu")


def test_clipping_bounds_the_norm_and_only_the_norm() -> None:
    """Without momentum the step of one batch is lr times the gradient, scaled to the bound."""
    options = replace(PLAIN, epochs=1, momentum=0.0, lr=1.0, clip_norm=0.01)
    model, reference = make_network(), make_network()
    model.drop.p = reference.drop.p = 0.0
    batch = split_batches(*toy_images(64))
    F.cross_entropy(reference(batch[0][0]), batch[0][1]).backward()
    gradients = [p.grad for p in reference.parameters() if p.grad is not None]
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    assert norm > 0.1
    before = [p.detach().clone() for p in model.parameters()]
    train(model, batch, options)
    for old, new, gradient in zip(before, model.parameters(), gradients, strict=True):
        torch.testing.assert_close(old - new.detach(), gradient * 0.01 / norm, rtol=1e-3, atol=1e-7)


def test_a_wide_bound_changes_nothing() -> None:
    first, second = make_network(), make_network()
    train(first, split_batches(*TRAIN), PLAIN)
    train(second, split_batches(*TRAIN), replace(PLAIN, clip_norm=1e6))
    assert torch.equal(first.head.weight, second.head.weight)


def test_the_model_ends_as_the_average_of_its_weights() -> None:
    model, expected, seen = make_network(), [tensors_of(make_network())], []
    decay = 0.2

    def note(epoch: int, step: int, now: int) -> None:
        kept, live = min(decay, (1 + now) / (10 + now)), tensors_of(model)
        seen.append(live)
        expected.append({name: kept * old + (1 - kept) * live[name] for name, old in expected[-1].items()})

    result = train(model, split_batches(*TRAIN), replace(PLAIN, ema=decay), validation=TEST, on_step=note)
    for name, value in tensors_of(model).items():
        if value.is_floating_point():
            torch.testing.assert_close(value, expected[-1][name], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(model.head.weight, seen[-1]["head.weight"], atol=1e-4)
    # Validation looked at the average, and gave the weights back: the steps are those of a run without it.
    assert result.history[-1].validation_loss == pytest.approx(evaluate(model, TEST, device="cpu").loss, rel=1e-6)
    plain = make_network()
    train(plain, split_batches(*TRAIN), PLAIN)
    assert torch.equal(plain.head.weight, seen[-1]["head.weight"])


def spoiled(steps: tuple[int, ...]) -> list[tuple[Tensor, Tensor]]:
    batches = split_batches(*TRAIN, size=16)
    return [(x * float("nan"), y) if step in steps else (x, y) for step, (x, y) in enumerate(batches)]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_skipped_steps_are_as_if_their_batches_were_not_there(
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop"],
) -> None:
    """Batches 0, 5, 6 are bad; a loop by hand leaves them out."""
    options = replace(PLAIN, epochs=1, lr=0.01, optimizer=optimizer, nonfinite="skip", clip_norm=1.0)
    model, reference = make_network(), make_network()
    model.drop.p = reference.drop.p = 0.0
    batches = spoiled((0, 5, 6))
    (record,) = train(model, batches, options).history
    good = [batch for step, batch in enumerate(batches) if step not in (0, 5, 6)]
    (expected,) = train(reference, good, replace(options, nonfinite="stop")).history
    assert all(torch.equal(value, tensors_of(reference)[name]) for name, value in tensors_of(model).items())
    assert record.skipped == 3
    assert (record.train_loss, record.train_accuracy) == (expected.train_loss, expected.train_accuracy)
    assert record.lr == learning_rate(options, 0, 11, 12)
    assert "3 steps skipped" in str(record)


def test_a_good_run_is_the_same_with_skipping() -> None:
    first, second = make_network(), make_network()
    one = train(first, split_batches(*TRAIN), replace(PLAIN, ema=0.9))
    two = train(second, split_batches(*TRAIN), replace(PLAIN, ema=0.9, nonfinite="skip"))
    assert all(torch.equal(value, tensors_of(second)[name]) for name, value in tensors_of(first).items())
    assert one.history == two.history
    assert two.history[-1].skipped == 0


def test_too_many_skipped_steps_in_a_row_stop() -> None:
    options = replace(PLAIN, nonfinite="skip", skip_limit=3)
    train(make_network(), spoiled((1, 2, 5, 6)), options)
    with pytest.raises(TrainingError, match="got 3 skipped steps in a row"):
        train(make_network(), spoiled((1, 2, 3)), options)


def test_an_epoch_without_a_good_step_stops() -> None:
    with pytest.raises(TrainingError, match="none in any step of the epoch"):
        train(make_network(), spoiled(tuple(range(12))), replace(PLAIN, nonfinite="skip"))


def test_gradients_that_overflow_are_skipped_too() -> None:
    """A finite loss with infinite gradients: the square root at zero."""

    class Root:
        def loss(self, module: torch.nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
            scores = module(images)
            loss = F.cross_entropy(scores, labels)
            return loss + ((scores * 0).sum().sqrt() if bool((images == 0).all()) else 0), scores

    good, zeros = split_batches(*toy_images(32)), [(torch.zeros(32, 1, 8, 8), torch.zeros(32, dtype=torch.int64))]
    model, reference = make_network(), make_network()
    model.drop.p = reference.drop.p = 0.0
    options = replace(PLAIN, epochs=1, nonfinite="skip")
    (record,) = train(model, good + zeros, options, objective=Root()).history
    train(reference, good, options, objective=Root())
    assert record.skipped == 1
    assert torch.equal(model.head.weight, reference.head.weight)
