"""Interrupted and resumed equals uninterrupted, bit for bit, on the CPU."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from secateurs.training import CheckpointOptions, EpochRecord, TrainOptions, TrainResult, make_optimizer, train
from tests.training._toys import Network, Shuffled, make_network, split_batches, tensors_of, toy_images

TRAIN, VALIDATION = toy_images(200, seed=1), split_batches(*toy_images(100, seed=2))
RUNS = {
    "sgd": TrainOptions(epochs=4, lr=0.05, nesterov=True, warmup_epochs=1, label_smoothing=0.1, device="cpu"),
    "adamw": TrainOptions(epochs=4, optimizer="adamw", lr=3e-3, schedule="step", milestones=(2,), device="cpu"),
    "channels_last": TrainOptions(epochs=4, lr=0.05, channels_last=True, device="cpu"),
    "bf16": TrainOptions(epochs=4, lr=0.05, precision="bf16", channels_last=True, device="cpu"),
    "average": TrainOptions(epochs=4, optimizer="adam", lr=3e-3, ema=0.9, clip_norm=0.5, record_steps=3, device="cpu"),
    "list": TrainOptions(
        epochs=4, optimizer="rmsprop", schedule="list", rates=((0, 1e-4), (1, 1e-3), (3, -1.0)), device="cpu"
    ),
    "patience": TrainOptions(epochs=4, lr=0.05, patience=3, channels_last=True, ema=0.5, device="cpu"),
    "best": TrainOptions(
        epochs=4, schedule="list", rates=((0, 0.05), (1, 3.0)), ema=0.5, keep="best", weight_decay=0.0, device="cpu"
    ),
}


class InterruptionError(Exception):
    pass


def stop_after(epoch: int) -> Callable[[EpochRecord], None]:
    def stop(record: EpochRecord) -> None:
        if record.epoch == epoch:
            raise InterruptionError

    return stop


def state_of(optimizer: torch.optim.Optimizer) -> list[tuple[str, Tensor]]:
    states = optimizer.state_dict()["state"]
    return [(f"{index}.{key}", value) for index, state in states.items() for key, value in sorted(state.items())]


def assert_same(first: tuple[Network, TrainResult], second: tuple[Network, TrainResult]) -> None:
    expected = tensors_of(second[0])
    for name, value in tensors_of(first[0]).items():
        assert torch.equal(value, expected[name]), name
    mine, theirs = state_of(first[1].optimizer), state_of(second[1].optimizer)
    assert [name for name, _ in mine] == [name for name, _ in theirs]
    assert len(mine) > 0
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(mine, theirs, strict=True))
    assert first[1].history == second[1].history
    assert [g["lr"] for g in first[1].optimizer.param_groups] == [g["lr"] for g in second[1].optimizer.param_groups]


def uninterrupted(options: TrainOptions) -> tuple[Network, TrainResult]:
    model = make_network()
    return model, train(model, Shuffled(*TRAIN), options, validation=VALIDATION)


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("epoch", [0, 2])
def test_interrupted_between_epochs(name: str, epoch: int, tmp_path: Path) -> None:
    path, options = tmp_path / "run" / "checkpoint.safetensors", RUNS[name]
    with pytest.raises(InterruptionError):
        train(
            make_network(),
            Shuffled(*TRAIN),
            options,
            validation=VALIDATION,
            checkpoint=path,
            on_epoch=stop_after(epoch),
        )
    # Other weights: all that counts must come from the file.
    model, batches = make_network(seed=5), Shuffled(*TRAIN)
    resumed = train(model, batches, options, validation=VALIDATION, checkpoint=path)
    assert batches.epochs == list(range(epoch + 1, 4))
    assert_same((model, resumed), uninterrupted(options))


def test_interrupted_within_an_epoch(tmp_path: Path) -> None:
    path, options = tmp_path / "checkpoint.safetensors", RUNS["sgd"]
    with pytest.raises(KeyboardInterrupt):
        train(make_network(), Shuffled(*TRAIN, fail_at=(2, 2)), options, validation=VALIDATION, checkpoint=path)
    model, batches = make_network(seed=5), Shuffled(*TRAIN)
    resumed = train(model, batches, options, validation=VALIDATION, checkpoint=path)
    assert batches.epochs == [2, 3]
    assert_same((model, resumed), uninterrupted(options))


def test_saved_every_second_epoch(tmp_path: Path) -> None:
    path, options = tmp_path / "checkpoint.safetensors", RUNS["adamw"]
    with pytest.raises(InterruptionError):
        train(
            make_network(),
            Shuffled(*TRAIN),
            options,
            validation=VALIDATION,
            checkpoint=CheckpointOptions(path=path, epochs=2),
            on_epoch=stop_after(2),
        )
    model, batches = make_network(), Shuffled(*TRAIN)
    resumed = train(model, batches, options, validation=VALIDATION, checkpoint=CheckpointOptions(path=path, epochs=2))
    assert batches.epochs == [2, 3]
    assert_same((model, resumed), uninterrupted(options))


def test_a_finished_checkpoint_gives_its_result_without_training(tmp_path: Path) -> None:
    path, options = tmp_path / "checkpoint.safetensors", RUNS["sgd"]
    model = make_network()
    result = train(model, Shuffled(*TRAIN), options, checkpoint=path)
    written = path.read_bytes()
    again, batches, records = make_network(seed=5), Shuffled(*TRAIN), list[EpochRecord]()
    restored = train(again, batches, options, checkpoint=path, on_epoch=records.append)
    assert batches.epochs == []
    assert records == []
    assert path.read_bytes() == written
    assert_same((again, restored), (model, result))


def test_a_given_optimizer_is_restored_in_place(tmp_path: Path) -> None:
    path, options = tmp_path / "checkpoint.safetensors", RUNS["sgd"]

    def with_history() -> tuple[Network, torch.optim.Optimizer]:
        model = make_network()
        optimizer = make_optimizer(model, options)
        train(model, Shuffled(*TRAIN), options, optimizer=optimizer)
        return model, optimizer

    whole, optimizer = with_history()
    expected = train(whole, Shuffled(*TRAIN), options, optimizer=optimizer)
    model, optimizer = with_history()
    with pytest.raises(InterruptionError):
        train(model, Shuffled(*TRAIN), options, optimizer=optimizer, checkpoint=path, on_epoch=stop_after(1))
    model, optimizer = with_history()
    resumed = train(model, Shuffled(*TRAIN), options, optimizer=optimizer, checkpoint=path)
    assert resumed.optimizer is optimizer
    assert_same((model, resumed), (whole, expected))


def test_an_average_is_what_a_finished_checkpoint_gives(tmp_path: Path) -> None:
    path, options = tmp_path / "checkpoint.safetensors", RUNS["average"]
    model = make_network()
    train(model, Shuffled(*TRAIN), options, checkpoint=path)
    again = make_network(seed=5)
    train(again, Shuffled(*TRAIN), options, checkpoint=path)
    assert all(torch.equal(value, tensors_of(model)[name]) for name, value in tensors_of(again).items())


def test_skipped_steps_on_both_sides_of_an_interruption(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    options = TrainOptions(epochs=4, lr=0.05, ema=0.9, nonfinite="skip", device="cpu")
    images, labels = toy_images(200, seed=1)
    images[7] = float("nan")  # one batch of every epoch is bad
    whole, model = make_network(), make_network(seed=5)
    expected = train(whole, Shuffled(images, labels), options, checkpoint=None)
    assert [record.skipped for record in expected.history] == [1, 1, 1, 1]
    with pytest.raises(InterruptionError):
        train(make_network(), Shuffled(images, labels), options, checkpoint=path, on_epoch=stop_after(1))
    resumed = train(model, Shuffled(images, labels), options, checkpoint=path)
    assert_same((model, resumed), (whole, expected))


def test_patience_counts_the_epochs_before_an_interruption(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    options = TrainOptions(epochs=9, lr=1e-30, weight_decay=0.0, patience=3, device="cpu")

    def still() -> Network:
        model = make_network()
        model.norm.momentum = 0.0
        return model

    with pytest.raises(InterruptionError):
        train(still(), Shuffled(*TRAIN), options, validation=VALIDATION, checkpoint=path, on_epoch=stop_after(1))
    model = still()
    resumed = train(model, Shuffled(*TRAIN), options, validation=VALIDATION, checkpoint=path)
    assert [record.epoch for record in resumed.history] == [0, 1, 2, 3]
    whole = still()
    assert_same((model, resumed), (whole, train(whole, Shuffled(*TRAIN), options, validation=VALIDATION)))
