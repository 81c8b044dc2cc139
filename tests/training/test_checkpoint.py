from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from secateurs._errors import FileError, TrainingError
from secateurs._files import load_tensors, save_tensors
from secateurs.training import TrainOptions, train
from secateurs.training._keeper import previous_checkpoint
from tests.training._toys import make_network, split_batches, tensors_of, toy_images

BATCHES = split_batches(*toy_images(128))
OPTIONS = TrainOptions(epochs=2, lr=0.05, device="cpu")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.safetensors"
    train(make_network(), BATCHES, OPTIONS, checkpoint=path)
    previous_checkpoint(path).unlink()
    return path


def test_it_holds_model_momentum_and_nothing_that_runs(path: Path) -> None:
    tensors, metadata = load_tensors(path)
    names = {f"model.{name}" for name in tensors_of(make_network())}
    assert names == {name for name in tensors if name.startswith("model.")}
    momenta = [name for name in tensors if name.startswith("optimizer.") and name.endswith(".momentum_buffer")]
    assert len(momenta) == 6
    assert metadata["format"] == "secateurs-training-2"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (replace(OPTIONS, lr=0.06), r"options\.lr is 0\.06.*got one where it is 0\.05"),
        (replace(OPTIONS, epochs=3), r"options\.epochs is 3"),
        (replace(OPTIONS, seed=1), r"options\.seed is 1"),
    ],
)
def test_other_options_are_refused_by_name(path: Path, options: TrainOptions, named: str) -> None:
    model = make_network(seed=5)
    before = tensors_of(model)
    with pytest.raises(TrainingError, match=named):
        train(model, BATCHES, options, checkpoint=path)
    assert all(torch.equal(value, before[name]) for name, value in tensors_of(model).items())


def test_another_model_is_refused_by_name(path: Path) -> None:
    with pytest.raises(TrainingError, match=r"model\.conv\.bias is torch.float32 \[5\].*float32 \[6\]"):
        train(make_network(channels=5), BATCHES, OPTIONS, checkpoint=path)


def test_another_optimizer_is_refused_by_name(path: Path) -> None:
    model = make_network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
    with pytest.raises(TrainingError, match=r"optimizer\.groups\.0\.momentum is 0\.5"):
        train(model, BATCHES, OPTIONS, checkpoint=path, optimizer=optimizer)


def test_other_batches_are_refused(path: Path) -> None:
    with pytest.raises(TrainingError, match="steps_per_epoch is 4"):
        train(make_network(), split_batches(*toy_images(128), size=32), OPTIONS, checkpoint=path)


def test_the_device_may_be_another(path: Path) -> None:
    result = train(make_network(), BATCHES, replace(OPTIONS, device="cpu:0"), checkpoint=path)
    assert len(result.history) == 2


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_tensors(path, {"weight": torch.zeros(2)})
    with pytest.raises(FileError, match="a training checkpoint, got a file without its marks"):
        train(make_network(), BATCHES, OPTIONS, checkpoint=path)


def test_a_truncated_file_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FileError, match="a whole safetensors file"):
        train(make_network(), BATCHES, OPTIONS, checkpoint=path)


@pytest.mark.parametrize(
    ("key", "value", "got"),
    [
        ("history", "[{]", "metadata that cannot be read"),
        ("history", '[{"epoch": 1}]', "metadata that cannot be read"),
        ("identity", "3", "metadata of the wrong form"),
        ("partial", "[3]", "metadata of the wrong form"),
        ("partial", '{"step": 1}', "states of random numbers that do not fit"),
    ],
)
def test_damaged_metadata_is_refused(path: Path, key: str, value: str, got: str) -> None:
    tensors, metadata = load_tensors(path)
    save_tensors(path, tensors, metadata | {key: value})
    with pytest.raises(FileError, match=got):
        train(make_network(), BATCHES, OPTIONS, checkpoint=path)


def test_missing_and_strange_tensors_are_refused(path: Path) -> None:
    tensors, metadata = load_tensors(path)
    without = {name: value for name, value in tensors.items() if name != "model.head.bias"}
    save_tensors(path, without, metadata)
    with pytest.raises(TrainingError, match=r"model\.head\.bias is torch.*got one where it is absent"):
        train(make_network(), BATCHES, OPTIONS, checkpoint=path)
    strange: dict[str, Tensor] = {"optimizer.17.momentum_buffer": torch.zeros(1)}
    save_tensors(path, tensors | strange, metadata)
    with pytest.raises(FileError, match=r"optimizer\.17\.momentum_buffer' for 6 parameters"):
        train(make_network(), BATCHES, OPTIONS, checkpoint=path)


def test_an_impossible_directory_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    model = make_network()
    before = model.head.weight.detach().clone()
    with pytest.raises(FileError, match="a directory that can be made"):
        train(model, BATCHES, OPTIONS, checkpoint=tmp_path / "file" / "checkpoint.safetensors")
    assert torch.equal(model.head.weight, before)


def test_a_stop_names_the_checkpoint_and_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    images, labels = toy_images(64)

    def spoil(record: object) -> None:
        images[0] = float("nan")

    with pytest.raises(
        TrainingError,
        match=r"epoch 1, step 0 of 1.*The last good checkpoint, .*checkpoint\.safetensors, holds 1 epoch\.",
    ):
        train(make_network(), [(images, labels)], OPTIONS, checkpoint=path, on_epoch=spoil)
    tensors, _ = load_tensors(path)
    assert all(tensor.isfinite().all() for tensor in tensors.values())
