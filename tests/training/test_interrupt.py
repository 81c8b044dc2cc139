"""Stopped by signals within epochs, as often as one likes, training ends as if nothing had happened."""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from secateurs._errors import Interrupted
from secateurs.training import BatchSource, CheckpointOptions, TrainOptions, TrainResult, train
from tests.training._toys import Network, Shuffled, make_network, split_batches, toy_images
from tests.training.test_resume import RUNS, assert_same, uninterrupted

TRAIN, VALIDATION = toy_images(200, seed=1), split_batches(*toy_images(100, seed=2))
MOMENTS = 4 * (4 + 2)
"""Batches of a whole training of four epochs: four to train on and two to validate with, each."""


class Bell:
    """Sends a signal to this process when it has counted so many batches."""

    def __init__(self, at: int, number: signal.Signals = signal.SIGTERM) -> None:
        self.left, self.number = at, number

    def __call__(self, batches: BatchSource) -> "Ringing":
        return Ringing(batches, self)

    def count(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)


class Ringing:
    """Other batches, counted by a bell."""

    def __init__(self, batches: BatchSource, bell: Bell) -> None:
        self.batches, self.bell = batches, bell

    def set_epoch(self, epoch: int) -> None:
        getattr(self.batches, "set_epoch", lambda _: None)(epoch)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in self.batches:
            self.bell.count()
            yield batch


class Drawing(Shuffled):
    """Order and noise come from the global generators, as those of many loaders do."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.randperm(len(self.labels)).split(self.size):
            noise = torch.rand(1) + random.gauss() + np.random.standard_normal()
            yield self.images[rows] + noise.float(), self.labels[rows]


class Starting(Shuffled):
    """Can begin anywhere."""

    started: tuple[int, ...] = ()
    _from = 0

    def start_at(self, step: int) -> None:
        self.started, self._from = (*self.started, step), step

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        start, self._from = self._from, 0
        for step, batch in enumerate(super().__iter__()):
            if step >= start:
                yield batch


def interrupted(path: Path, options: TrainOptions, source: type[Shuffled]) -> tuple[tuple[Network, TrainResult], int]:
    """Trained with a signal in every attempt, each a little longer; the result and the number of signals."""
    stops: list[Interrupted] = []
    while True:
        model, bell = (
            make_network(seed=len(stops)),
            Bell(2 + len(stops), (signal.SIGTERM, signal.SIGINT)[len(stops) % 2]),
        )
        try:
            result = train(model, bell(source(*TRAIN)), options, validation=bell(VALIDATION), checkpoint=path)
        except Interrupted as stop:
            stops.append(stop)
        else:
            assert all(str(path) in stop.__notes__[0] for stop in stops)
            return (model, result), len(stops)


@pytest.mark.parametrize("name", RUNS)
def test_signals_at_every_moment(name: str, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    expected = uninterrupted(RUNS[name])
    found, stops = interrupted(path, RUNS[name], Shuffled)
    assert stops >= 5
    assert_same(found, expected)


@pytest.mark.parametrize("moment", range(1, MOMENTS + 1, 3))
def test_a_signal_at_any_moment(moment: int, tmp_path: Path) -> None:
    path, options, bell = tmp_path / "checkpoint.safetensors", RUNS["average"], Bell(moment)
    with pytest.raises(Interrupted, match="interrupted by SIGTERM"):
        train(make_network(), bell(Shuffled(*TRAIN)), options, validation=bell(VALIDATION), checkpoint=path)
    model = make_network(seed=5)
    assert_same(
        (model, train(model, Shuffled(*TRAIN), options, validation=VALIDATION, checkpoint=path)),
        uninterrupted(options),
    )


@pytest.mark.parametrize("source", [Drawing, Starting])
def test_sources_without_keys_and_sources_that_can_start_anywhere(source: type[Shuffled], tmp_path: Path) -> None:
    whole = make_network()
    expected = train(whole, source(*TRAIN), RUNS["sgd"], validation=VALIDATION)
    found, stops = interrupted(tmp_path / "checkpoint.safetensors", RUNS["sgd"], source)
    assert stops >= 5
    assert_same(found, (whole, expected))


def test_a_source_that_can_start_anywhere_is_asked_to(tmp_path: Path) -> None:
    path, bell, batches = tmp_path / "checkpoint.safetensors", Bell(4 + 2 + 3), Starting(*TRAIN)
    with pytest.raises(Interrupted) as caught:
        train(make_network(), bell(batches), RUNS["sgd"], validation=bell(VALIDATION), checkpoint=path)
    assert caught.value.__notes__ == [f"The last good checkpoint, {path}, holds 1 epoch and 3 steps of the next."]
    train(make_network(), batches, RUNS["sgd"], validation=VALIDATION, checkpoint=path)
    assert batches.started == (3,)


def test_a_kill_loses_no_more_than_the_time_between_checkpoints(tmp_path: Path) -> None:
    kept = CheckpointOptions(path=tmp_path / "checkpoint.safetensors", minutes=1e-9)
    with pytest.raises(KeyboardInterrupt):
        train(make_network(), Shuffled(*TRAIN, fail_at=(2, 3)), RUNS["sgd"], validation=VALIDATION, checkpoint=kept)
    model, batches = make_network(seed=5), Starting(*TRAIN)
    resumed = train(model, batches, RUNS["sgd"], validation=VALIDATION, checkpoint=kept)
    assert batches.started == (3,)
    assert_same((model, resumed), uninterrupted(RUNS["sgd"]))


def test_without_a_checkpoint_ctrl_c_is_what_it_always_was() -> None:
    bell = Bell(2, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as caught:
        train(make_network(), bell(Shuffled(*TRAIN)), RUNS["sgd"])
    assert not isinstance(caught.value, Interrupted)
