"""Real data sets, where the environment names their folder."""

import os
from pathlib import Path

import pytest
import torch

from secateurs.data import Augment, BatchOptions, ColourJitter, DataOptions, ResizedCrop, load, make_batches
from tests.data.making import load_held

DATA = Path(os.environ.get("SECATEURS_DATA", ""))

pytestmark = pytest.mark.skipif(
    "SECATEURS_DATA" not in os.environ or not DATA.is_dir(), reason="SECATEURS_DATA names no folder of real data sets"
)

# Shape, number of classes, one class name, and the published mean of the training pixels of the first channel.
FACTS = {
    "cifar10": ((3, 32, 32), 10, "airplane", 0.4914),
    "cifar100": ((3, 32, 32), 100, "aquarium_fish", 0.5071),
    "mnist": ((1, 28, 28), 10, "7", 0.1307),
    "fashion_mnist": ((1, 28, 28), 10, "Sneaker", 0.2860),
}


@pytest.mark.parametrize("name", FACTS)
def test_published_sets_need_no_options(name: str) -> None:
    shape, classes, example, mean = FACTS[name]
    splits = load_held(DataOptions(path=DATA / name, limit=1000))
    assert splits.train.images.shape == (900, *shape)
    assert splits.validation.images.shape == (100, *shape)
    assert splits.test.images.shape[1:] == shape
    assert len(splits.train.classes) == classes
    assert example in splits.train.classes
    assert splits.mean[0] == pytest.approx(mean, abs=0.02)
    assert int(splits.train.labels.max()) < classes


def test_parts_of_cifar10_share_no_row_and_no_pixels() -> None:
    splits = load_held(DataOptions(path=DATA / "cifar10", limit=1500, validation_ratio=0.2))
    assert set(splits.train.indices.tolist()).isdisjoint(splits.validation.indices.tolist())
    parts = (splits.train, splits.validation, splits.test)
    train, validation, test = ({image.numpy().tobytes() for image in part.images} for part in parts)
    assert train.isdisjoint(test)
    assert validation.isdisjoint(test)
    assert train.isdisjoint(validation)


def test_another_label_column_may_be_asked_for() -> None:
    splits = load_held(DataOptions(path=DATA / "cifar100", label_column="coarse_label", limit=200))
    assert len(splits.train.classes) == 20


def test_a_single_file_is_divided() -> None:
    splits = load_held(DataOptions(path=DATA / "imagenette_sample" / "validation.parquet"))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (115, 13, 32)
    assert splits.train.images.shape[1:] == (3, 224, 224)
    small = load_held(DataOptions(path=DATA / "imagenette_sample", resize=64, limit=20))
    assert small.train.images.shape[1:] == (3, 64, 64)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("cifar10", (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        ("cifar100", (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    ],
)
def test_whole_sets_have_the_published_mean_and_spread(
    name: str, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    splits = load_held(DataOptions(path=DATA / name, validation_ratio=0))
    assert len(splits.train) == 50_000
    assert torch.bincount(splits.train.labels).unique().tolist() == [50_000 // len(splits.train.classes)]
    assert splits.mean == pytest.approx(mean, abs=2e-4)
    assert splits.std == pytest.approx(std, abs=2e-4)


@pytest.mark.parametrize("name", ["cifar10", "imagenette_sample"])
def test_streamed_photographs_equal_held_ones(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    augment = Augment(resized_crop=ResizedCrop(size=24), flip=True, colour=ColourJitter(contrast=0.4, hue=0.1))
    options = BatchOptions(shuffle=True, augment=augment)
    made = []
    for resident in (True, False):
        splits = load(DataOptions(path=DATA / name, limit=120, resident=resident))
        batches = make_batches(splits.train, batch_size=50, mean=splits.mean, std=splits.std, options=options)
        made.append([x for x, _ in batches])
    assert all(torch.equal(a, b) for a, b in zip(*made, strict=True))
