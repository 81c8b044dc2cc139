"""Gradients from elsewhere."""

import pytest
import torch

from secateurs.training import Classification, Penalised, TrainOptions, train
from tests.training._toys import Network, make_network, split_batches, tensors_of, toy_images

TRAIN = toy_images(128, seed=1)


class Decay:
    """Half the squares of all weights, times a strength that grows with the steps."""

    def __init__(self, model: Network) -> None:
        self.model, self.steps = model, list[int]()

    def add_gradients(self, step: int) -> None:
        self.steps.append(step)
        with torch.no_grad():
            for parameter in self.model.parameters():
                assert parameter.grad is not None
                parameter.grad.add_(parameter, alpha=0.01)


def test_gradients_are_added_after_every_backward_pass() -> None:
    plain, model = make_network(), make_network()
    options = {"epochs": 2, "lr": 0.05, "precision": "32", "device": "cpu"}
    wanted = train(plain, split_batches(*TRAIN), TrainOptions(weight_decay=0.01, **options))  # type: ignore[arg-type]
    decay = Decay(model)
    got = train(
        model,
        split_batches(*TRAIN),
        TrainOptions(weight_decay=0.0, **options),  # type: ignore[arg-type]
        objective=Penalised(Classification(), decay),
    )
    assert decay.steps == [0, 1, 2, 3]
    others = tensors_of(plain)
    assert all(torch.allclose(value, others[name], atol=1e-6) for name, value in tensors_of(model).items())
    # The loss that is recorded is without the penalty.
    losses = [[record.train_loss for record in result.history] for result in (wanted, got)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_they_are_clipped_with_the_others() -> None:
    model = make_network()
    before = tensors_of(model)

    class Huge(Decay):
        def add_gradients(self, step: int) -> None:
            for parameter in self.model.parameters():
                assert parameter.grad is not None
                parameter.grad.add_(1e6)

    options = TrainOptions(
        epochs=1, lr=0.1, momentum=0.0, weight_decay=0.0, schedule="constant", clip_norm=0.01, device="cpu"
    )
    train(model, split_batches(*TRAIN, 128), options, objective=Penalised(Classification(), Huge(model)))
    moved = torch.cat([(value - before[name]).flatten() for name, value in model.named_parameters()])
    assert moved.norm().item() == pytest.approx(0.1 * 0.01, rel=1e-3)


def test_penalties_of_both_are_added() -> None:
    model = make_network()
    inside, outside = Decay(model), Decay(model)
    objective = Penalised(Penalised(Classification(), inside), outside)
    train(model, split_batches(*TRAIN), TrainOptions(epochs=1, lr=0.05, device="cpu"), objective=objective)
    assert inside.steps == outside.steps == [0, 1]
