"""Streamed images give what held ones give, in bounded memory, and leave nothing behind."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from torch import Tensor

from secateurs._errors import DataError
from secateurs.data import (
    Augment,
    Batches,
    BatchOptions,
    Blur,
    ColourJitter,
    DataOptions,
    ImageSet,
    ResizedCrop,
    Splits,
    StreamedBatches,
    StreamedSet,
    load,
    make_batches,
)
from secateurs.data import _moments as moments_module
from secateurs.data._prefetch import prefetched
from tests.data.making import image_set, picture, write_folder, write_typed

EVERYTHING = Augment(
    resized_crop=ResizedCrop(size=9),
    crop=2,
    crop_padding="reflect",
    flip=True,
    colour=ColourJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
    blur=Blur(),
    cutout=3,
)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def batches(images: ImageSet | StreamedSet, splits: Splits, **options: Any) -> Batches | StreamedBatches:
    chosen = BatchOptions(**options)
    return make_batches(images, batch_size=40, mean=splits.mean, std=splits.std, seed=3, options=chosen)


def pairs(made: Batches | StreamedBatches) -> tuple[Tensor, Tensor]:
    found = list(made)
    return torch.cat([x for x, _ in found]), torch.cat([y for _, y in found])


def mixed(path: Path) -> StreamedSet:
    """48 images of 48 sizes, some of them grey."""
    for label in ("cat", "dog"):
        (path / label).mkdir(parents=True)
    for row in range(60):
        image = picture(row, side=20 + row).resize((20 + row, 50), reducing_gap=None)
        image.convert("L" if row % 7 == 0 else "RGB").save(path / ("cat", "dog")[row % 2] / f"{row:02}.png")
    splits = load(DataOptions(path=path, validation_ratio=0))
    assert isinstance(splits.train, StreamedSet)
    return splits.train


def sources(tmp_path: Path) -> Iterator[DataOptions]:
    yield DataOptions(name="digits", limit=300)
    yield DataOptions(name="digits", limit=100, resize=12, channels=3)
    write_folder(tmp_path / "folder", ["cat", "dog"], 60, side=12)
    yield DataOptions(path=tmp_path / "folder")
    rows = [{"bytes": (tmp_path / "folder" / "cat" / f"{row:03}.png").read_bytes(), "path": None} for row in range(60)]
    write_typed(tmp_path / "one.parquet", {"img": rows, "label": [row % 3 for row in range(60)]}, ["x", "y", "z"])
    yield DataOptions(path=tmp_path / "one.parquet", channels=1)


@pytest.mark.parametrize("augment", [Augment(), Augment(crop=2, flip=True), EVERYTHING], ids=["plain", "usual", "all"])
def test_streamed_batches_equal_held_ones(tmp_path: Path, augment: Augment) -> None:
    for options in sources(tmp_path):
        held, streamed = (load(replace(options, resident=resident)) for resident in (True, False))
        assert (held.mean, held.std, held.name) == (streamed.mean, streamed.std, streamed.name)
        for part in ("train", "validation", "test"):
            first, second = getattr(held, part), getattr(streamed, part)
            assert isinstance(first, ImageSet)
            assert isinstance(second, StreamedSet)
            assert torch.equal(first.indices, second.indices)
            wanted = batches(first, held, shuffle=True, augment=augment, channels_last=True)
            got = batches(second, held, shuffle=True, augment=augment, channels_last=True, threads=3)
            assert (type(wanted), type(got)) == (Batches, StreamedBatches)
            assert (len(wanted), wanted.shape) == (len(got), got.shape)
            for epoch in (0, 1):
                wanted.set_epoch(epoch)
                got.set_epoch(epoch)
                assert all(torch.equal(a, b) for a, b in zip(pairs(wanted), pairs(got), strict=True))


def test_images_in_memory_are_streamed_to_a_device_alike() -> None:
    images = image_set(50)
    options = BatchOptions(shuffle=True, augment=EVERYTHING, drop_last=True)
    made = [
        kind(images, batch_size=7, mean=(0.5,) * 3, std=(0.2,) * 3, options=options)
        for kind in (Batches, StreamedBatches)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*map(pairs, made), strict=True))


@pytest.mark.parametrize("options", [{"augment": EVERYTHING}, {"fit": 16}], ids=["cropped", "fitted"])
def test_images_of_many_sizes_are_each_brought_to_one(tmp_path: Path, options: dict[str, Any]) -> None:
    images = mixed(tmp_path)
    assert (images.size, images.channels) == (None, 3)
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    made = StreamedBatches(images, batch_size=40, mean=mean, std=std, options=BatchOptions(**options))
    x, y = pairs(made)
    assert x.shape[1:] == made.shape
    assert torch.equal(y, images.labels)
    # The same images one at a time, held.
    for row, image in enumerate(images.read(range(len(images)))):
        alone = ImageSet(
            images=image[None],
            labels=images.labels[row : row + 1],
            indices=images.indices[row : row + 1],
            classes=images.classes,
        )
        wanted = Batches(alone, batch_size=1, mean=mean, std=std, options=BatchOptions(**options))
        assert torch.equal(x[row : row + 1], pairs(wanted)[0])


def test_images_of_many_sizes_need_to_be_brought_to_one(tmp_path: Path) -> None:
    images = mixed(tmp_path)
    with pytest.raises(DataError, match=r"wanted images of one size, got images that differ in size\. Set data\.resiz"):
        StreamedBatches(images, batch_size=4, mean=(0.5,) * 3, std=(0.2,) * 3)


def test_a_loop_can_begin_at_any_step_and_ranks_share_it() -> None:
    splits = load(DataOptions(name="digits", limit=200, resident=False))
    whole = list(batches(splits.train, splits, shuffle=True))
    made = batches(splits.train, splits, shuffle=True)
    made.start_at(3)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(whole[3:], made, strict=True))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(whole, made, strict=True))
    parts = [batches(splits.train, splits, shuffle=True, shard=(rank, 3)) for rank in range(3)]
    for step, shares in enumerate(zip(*parts, strict=True)):
        assert torch.equal(torch.cat([x for x, _ in shares]), whole[step][0])
        assert parts[0].global_size(step) == len(whole[step][0])


def test_a_bad_image_is_named_when_its_batch_comes(tmp_path: Path) -> None:
    write_folder(tmp_path / "a", ["cat", "dog"], 60)
    splits = load(DataOptions(path=tmp_path / "a", resident=False, validation_ratio=0))
    bad = int(splits.train.indices[50])
    file = tmp_path / "a" / ("cat", "dog")[bad // 60] / f"{bad % 60:03}.png"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    made = iter(batches(splits.train, splits))
    next(made)
    with pytest.raises(DataError, match=rf"{file.name}: wanted an image that can be decoded, got .*truncated"):
        next(made)
    assert not workers()
    picture(1, side=9).save(file)
    with pytest.raises(DataError, match=rf"{file.name}: wanted 8 x 8 pixels, as other images, got 9 x 9"):
        list(batches(splits.train, splits))
    file.unlink()
    with pytest.raises(DataError, match=rf"{file.name}: wanted an image that can be decoded, got .*No such file"):
        list(batches(splits.train, splits))


def test_a_bad_header_is_named_before_anything_is_done(tmp_path: Path) -> None:
    write_folder(tmp_path / "a", ["cat", "dog"], 20)
    (tmp_path / "a" / "dog" / "003.png").write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"dog.003\.png: wanted an image that can be decoded, got bytes in none"):
        load(DataOptions(path=tmp_path / "a", resident=False))


def test_a_loop_that_is_left_leaves_no_thread() -> None:
    splits = load(DataOptions(name="digits", resident=False))
    made = batches(splits.train, splits)
    for _ in made:
        assert workers()
        break
    assert not workers()
    iterator = iter(made)
    next(iterator)
    del iterator
    assert not workers()
    assert len(list(made)) == len(made)
    assert not workers()


def test_only_a_few_batches_are_decoded_ahead() -> None:
    splits = load(DataOptions(name="digits", resident=False))
    assert isinstance(splits.train, StreamedSet)
    opened: list[int] = []
    pictures = splits.train.split.pictures

    def counted(rows: Sequence[int]) -> Iterator[tuple[str, Any]]:
        opened.extend(rows)
        return pictures(rows)

    images = replace(splits.train, split=replace(splits.train.split, pictures=counted))
    for step, _ in enumerate(batches(images, splits)):
        assert len(opened) <= (step + 4) * 40
    assert sorted(opened) == images.indices.tolist()


def test_prefetching_keeps_order_and_bounds_what_waits() -> None:
    started: list[int] = []

    def jobs() -> Iterator[Any]:
        for number in range(50):
            started.append(number)
            yield lambda number=number: number * number

    for position, value in enumerate(prefetched(jobs(), threads=4, ahead=5)):
        assert value == position * position
        assert len(started) <= position + 6
    assert len(started) == 50


def test_large_sets_are_normalised_by_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, again = (load(DataOptions(name="digits", resident=False)) for _ in range(2))
    assert whole.mean == again.mean
    monkeypatch.setattr(moments_module, "_SAMPLE", 400)
    sampled, repeated = (load(DataOptions(name="digits", resident=False)) for _ in range(2))
    assert sampled.mean == repeated.mean
    assert sampled.mean != whole.mean
    assert sampled.mean[0] == pytest.approx(whole.mean[0], rel=0.02)
    assert sampled.std[0] == pytest.approx(whole.std[0], rel=0.02)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_reach_the_gpu_whole() -> None:
    images = image_set(5000, side=32)
    options: dict[str, Any] = {"shuffle": True, "augment": Augment(crop=4, flip=True)}
    wanted = Batches(images, batch_size=64, mean=(0.5,) * 3, std=(0.2,) * 3, options=BatchOptions(**options))
    on_gpu = BatchOptions(device="cuda", **options)
    got = StreamedBatches(images, batch_size=64, mean=(0.5,) * 3, std=(0.2,) * 3, options=on_gpu)
    for (x, y), (a, b) in zip(wanted, got, strict=True):
        assert a.is_cuda
        torch.testing.assert_close(a.cpu(), x, rtol=0, atol=1e-6)
        assert torch.equal(b.cpu(), y)


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("secateurs-data")]
