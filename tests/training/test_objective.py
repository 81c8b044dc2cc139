from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs._errors import TrainingError
from secateurs.training import Classification, EpochRecord, TrainOptions, train
from tests.training._toys import make_network, split_batches, tensors_of, toy_images

TRAIN, TEST = toy_images(128, seed=1), toy_images(150, seed=2)


class Reconstruction:
    """Half the mean squared error of an autoencoder; nothing is classified."""

    def loss(self, module: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        return F.mse_loss(module(images), images) / 2, None


class Distillation:
    """A teacher's scores to copy, and an accuracy to watch."""

    def __init__(self, teacher: nn.Module) -> None:
        self.teacher = teacher.eval()

    def loss(self, module: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        scores = module(images)
        with torch.no_grad():
            wanted = self.teacher(images).softmax(dim=1)
        return F.cross_entropy(scores, wanted), scores


def autoencoder() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 64), nn.Unflatten(1, (1, 8, 8)))


def test_an_objective_without_scores_trains_and_validates_by_its_loss() -> None:
    model, options = autoencoder(), TrainOptions(epochs=4, optimizer="adam", lr=0.01, precision="32", device="cpu")
    validation = split_batches(*TEST)
    history = train(model, split_batches(*TRAIN), options, validation=validation, objective=Reconstruction()).history
    assert all(record.train_accuracy is None and record.validation_accuracy is None for record in history)
    assert history[-1].train_loss < 0.8 * history[0].train_loss
    with torch.no_grad():
        seen = F.mse_loss(model(TEST[0]), TEST[0]) / 2
    assert history[-1].validation_loss == pytest.approx(float(seen), rel=1e-5)
    assert "accuracy" not in str(history[-1])


def test_an_objective_with_scores_is_validated_as_a_classifier() -> None:
    teacher, student = make_network(), make_network(seed=1)
    options = TrainOptions(epochs=3, lr=0.05, device="cpu")
    train(teacher, split_batches(*TRAIN), options)
    wrong = (TRAIN[0], (TRAIN[1] + 1) % 4)
    history = train(
        student, split_batches(*wrong), options, validation=split_batches(*TEST), objective=Distillation(teacher)
    ).history
    # It learned what the teacher says, not what the labels say.
    assert history[-1].train_accuracy is not None
    assert history[-1].train_accuracy < 0.3
    assert history[-1].validation_accuracy is not None
    assert history[-1].validation_accuracy > 0.8


def test_the_default_is_cross_entropy_with_smoothing() -> None:
    first, second = make_network(), make_network()
    options = TrainOptions(epochs=1, lr=0.05, label_smoothing=0.2, device="cpu")
    train(first, split_batches(*TRAIN), options)
    train(second, split_batches(*TRAIN), options, objective=Classification(0.2))
    assert all(torch.equal(value, tensors_of(second)[name]) for name, value in tensors_of(first).items())
    third = make_network()
    train(third, split_batches(*TRAIN), options, objective=Classification(0.0))
    assert not torch.equal(third.head.weight, first.head.weight)


def test_scores_that_do_not_fit_are_named_before_the_loss_fails() -> None:
    with pytest.raises(TrainingError, match="classes 0 to 1, as many as the model has outputs"):
        train(make_network(classes=2), split_batches(*TRAIN), TrainOptions(epochs=1, device="cpu"))


def test_on_step_is_called_after_each_step() -> None:
    model, calls = make_network(), []
    weights = [model.head.weight.detach().clone()]

    def note(epoch: int, step: int, now: int) -> None:
        calls.append((epoch, step, now))
        assert not torch.equal(model.head.weight, weights[-1])
        weights.append(model.head.weight.detach().clone())

    train(model, split_batches(*TRAIN), TrainOptions(epochs=2, lr=0.05, device="cpu"), on_step=note)
    assert calls == [(0, 0, 0), (0, 1, 1), (1, 0, 2), (1, 1, 3)]


def test_nothing_is_read_from_the_device_while_steps_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads show as `item`, `__bool__`, `tolist`, `__int__`, `__float__` or a copy to the host; the meter's fold is
    the one place for them."""
    reads: list[str] = []
    quiet = [False]

    class Source:
        def __len__(self) -> int:
            return 6

        def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
            for step, batch in enumerate(split_batches(*toy_images(6 * 16), size=16)):
                quiet[0] = step >= 2  # the first step checks labels once, and lays out the optimizer
                yield batch
            quiet[0] = False

    for name in ("item", "__bool__", "tolist", "__int__", "__float__", "cpu", "numpy"):
        plain = getattr(Tensor, name)

        def watched(self: Tensor, *args: object, _name: str = name, _plain: object = plain) -> object:
            if quiet[0]:
                reads.append(_name)
            return _plain(self, *args)  # type: ignore[operator]

        monkeypatch.setattr(Tensor, name, watched)
    options = TrainOptions(epochs=1, lr=0.05, clip_norm=0.1, ema=0.9, nonfinite="skip", device="cpu")
    train(make_network(), Source(), options)
    assert reads == []


class Watching(Classification):
    """Says of every validation image how bright it is."""

    def validate(self, module: nn.Module, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return module(images), {"brightness": images.mean((1, 2, 3))}


def test_an_objective_may_tell_more_of_validation_images(tmp_path: Path) -> None:
    options, file = TrainOptions(epochs=2, lr=0.05, device="cpu"), tmp_path / "checkpoint.safetensors"
    validation = split_batches(*TEST)

    def history(objective: Classification, checkpoint: Path | None = None) -> tuple[EpochRecord, ...]:
        batches = split_batches(*TRAIN)
        found = train(
            make_network(), batches, options, validation=validation, objective=objective, checkpoint=checkpoint
        )
        return found.history

    plain, told = history(Classification()), history(Watching(), file)
    assert [record.validation_accuracy for record in told] == [record.validation_accuracy for record in plain]
    # 150 images in batches that are not alike: a mean over images, not over batches.
    assert [record.figures for record in told] == 2 * [{"brightness": pytest.approx(float(TEST[0].mean()), rel=1e-5)}]
    assert plain[0].figures == {}
    assert "brightness" in str(told[0])
    assert history(Watching(), file) == told
