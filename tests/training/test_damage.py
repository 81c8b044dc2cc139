"""Damaged checkpoints: noticed wherever the damage is, and the one before is used."""

import json
import random
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from secateurs._errors import CheckpointWarning, FileError, TrainingError
from secateurs._files import load_tensors, save_tensors
from secateurs._signals import Watch
from secateurs.training import CheckpointOptions, EpochRecord, make_optimizer, train
from secateurs.training._checkpoint import Subject, identify
from secateurs.training._keeper import Keeper, previous_checkpoint, remove_checkpoint
from tests.test_files import damaged
from tests.training._toys import Network, Shuffled, make_network, split_batches, tensors_of, toy_images
from tests.training.test_resume import RUNS, InterruptionError, assert_same, stop_after, uninterrupted

TRAIN, VALIDATION, OPTIONS = toy_images(200, seed=1), split_batches(*toy_images(100, seed=2)), RUNS["sgd"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A checkpoint of three epochs, with that of two epochs before it."""
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(InterruptionError):
        train(
            make_network(),
            Shuffled(*TRAIN),
            OPTIONS,
            validation=VALIDATION,
            checkpoint=path,
            on_epoch=stop_after(2),
        )
    assert sorted(file.name for file in tmp_path.iterdir()) == [previous_checkpoint(path).name, path.name]
    return path


def loaded(path: Path) -> tuple[Network, tuple[EpochRecord, ...]]:
    """What a training would go on with."""
    model = make_network(seed=5)
    optimizer = make_optimizer(model, OPTIONS)
    subject = Subject(model=model, optimizer=optimizer, identity=identify(optimizer, OPTIONS, 4))
    return model, Keeper(CheckpointOptions(path=path), subject, Watch()).load()[0]


def test_any_damage_brings_back_the_one_before(path: Path) -> None:
    content, draw, cases = path.read_bytes(), random.Random(0), 0
    shutil.copy(previous_checkpoint(path), path)
    expected, history = loaded(path)
    assert len(history) == 2
    while cases < 250:
        other = damaged(content, draw)
        if other == content:
            continue
        cases += 1
        path.write_bytes(other)
        with pytest.warns(CheckpointWarning, match=r"Going on from the one before, .*checkpoint\.previous\.safetens"):
            model, found = loaded(path)
        assert found == history
        assert all(torch.equal(value, tensors_of(expected)[name]) for name, value in tensors_of(model).items())
    print(f"{cases} damaged checkpoints, all noticed, the one before used each time")


def test_training_goes_on_from_the_one_before_and_does_not_lose_it_to_the_damaged_one(path: Path) -> None:
    previous = previous_checkpoint(path)
    before = previous.read_bytes()
    path.write_bytes(path.read_bytes()[:-1])
    kept: list[bytes] = []
    model, batches = make_network(seed=5), Shuffled(*TRAIN)
    with pytest.warns(CheckpointWarning):
        resumed = train(
            model,
            batches,
            OPTIONS,
            validation=VALIDATION,
            checkpoint=path,
            on_epoch=lambda _: kept.append(previous.read_bytes()),
        )
    assert batches.epochs == [2, 3]
    assert kept[0] == before
    assert_same((model, resumed), uninterrupted(OPTIONS))


def test_a_kill_between_the_two_renames_needs_no_warning(path: Path) -> None:
    path.unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(loaded(path)[1]) == 2


@pytest.mark.parametrize("content", [b"", b"\x00" * 4096, b"PK\x03\x04 a zip of pickles"])
def test_empty_and_foreign_files_are_damage_too(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.warns(CheckpointWarning):
        assert len(loaded(path)[1]) == 2
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.warns(CheckpointWarning, match="no SHA-256 inside"):
        assert len(loaded(path)[1]) == 2


def test_both_damaged_is_an_error_that_says_what_to_delete(path: Path) -> None:
    previous = previous_checkpoint(path)
    for file in (path, previous):
        file.write_bytes(file.read_bytes()[:-1])
    cure = r"Delete checkpoint\.safetensors and checkpoint\.previous\.safetensors to begin this training anew"
    with pytest.raises(FileError, match=f"does not fit; and before it .*{cure}"):
        loaded(path)
    previous.unlink()
    with pytest.raises(FileError, match=cure):
        loaded(path)
    remove_checkpoint(path)
    assert loaded(path)[1] == ()


def test_a_checkpoint_of_another_stage_is_a_mistake_and_no_damage(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(TrainingError, match="where stage is '02-retrain', got one where it is ''"):
        train(
            make_network(),
            Shuffled(*TRAIN),
            OPTIONS,
            validation=VALIDATION,
            checkpoint=CheckpointOptions(path=path, stage="02-retrain"),
        )
    assert path.read_bytes() == before


def test_a_loss_that_is_not_finite_names_the_step_and_keeps_the_checkpoint_within_the_epoch(tmp_path: Path) -> None:
    kept = CheckpointOptions(path=tmp_path / "checkpoint.safetensors", minutes=1e-9)
    images, labels = toy_images(200, seed=1)

    def spoil(epoch: int, step: int, now: int) -> None:
        if (epoch, step) == (1, 1):
            images.fill_(float("nan"))

    with pytest.raises(
        TrainingError, match=r"epoch 1, step 2 of 4, lr 0\.0466506.*holds 1 epoch and 2 steps of the next"
    ):
        train(make_network(), Shuffled(images, labels), OPTIONS, checkpoint=kept, on_step=spoil)
    tensors, _ = load_tensors(kept.path, hashed=True)
    assert all(tensor.isfinite().all() for tensor in tensors.values())


@pytest.mark.parametrize(
    ("change", "got"),
    [
        ({"step": None}, "that is no numbers"),
        ({"step": 1.5}, "that is no numbers"),
        ({"more": 1}, "that has other names"),
        ({"meter": {"steps": 1}}, "that has other names"),
        ({"meter": 3}, "that has other names"),
    ],
)
def test_an_epoch_begun_that_is_described_wrongly_is_damage(change: dict[str, Any], got: str, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    kept = CheckpointOptions(path=path, minutes=1e-9)
    with pytest.raises(KeyboardInterrupt):
        train(make_network(), Shuffled(*TRAIN, fail_at=(0, 2)), OPTIONS, checkpoint=kept)
    tensors, metadata = load_tensors(path)
    save_tensors(path, tensors, metadata | {"partial": json.dumps(json.loads(metadata["partial"]) | change)})
    previous_checkpoint(path).unlink()
    with pytest.raises(FileError, match=got):
        loaded(path)
