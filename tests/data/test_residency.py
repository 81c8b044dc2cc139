"""When images are held and when they are streamed, and what is said about it."""

from pathlib import Path

import pytest
import torch

from secateurs.data import Batches, DataOptions, ImageSet, StreamedBatches, StreamedSet, load, make_batches
from secateurs.data import _memory as memory
from secateurs.data._memory import fits, free_bytes
from tests.data.making import image_set, picture, write_folder

DIGITS_BYTES = 1797 * 64


def told(options: DataOptions) -> tuple[str, type]:
    lines: list[str] = []
    splits = load(options, notify=lines.append)
    (line,) = lines
    assert type(splits.train) is type(splits.validation) is type(splits.test)
    return line, type(splits.train)


def free(monkeypatch: pytest.MonkeyPatch, size: int | None) -> None:
    monkeypatch.setattr(memory, "_system", lambda: size)
    monkeypatch.setattr(memory, "_group", lambda: None)


def test_what_fits_in_half_of_the_free_memory_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 2 * DIGITS_BYTES)
    assert told(DataOptions(name="digits")) == ("1,797 images, 112 KiB, held on cpu", ImageSet)
    free(monkeypatch, 2 * DIGITS_BYTES - 2)
    line, kind = told(DataOptions(name="digits"))
    assert (line, kind) == ("1,797 images, streamed: 112 KiB would not fit in 112 KiB", StreamedSet)


def test_either_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 0)
    assert told(DataOptions(name="digits", resident=True)) == ("1,797 images, 112 KiB, held on cpu", ImageSet)
    free(monkeypatch, None)
    assert told(DataOptions(name="digits", resident=False)) == (
        "1,797 images, streamed, as data.resident asks",
        StreamedSet,
    )
    assert told(DataOptions(name="digits"))[1] is ImageSet


def test_the_size_after_resizing_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 2 * DIGITS_BYTES)
    assert told(DataOptions(name="digits", resize=16))[1] is StreamedSet
    assert told(DataOptions(name="digits", channels=3))[1] is StreamedSet
    assert told(DataOptions(name="digits", resize=16, limit=100))[1] is ImageSet


def test_images_that_differ_in_size_are_streamed(tmp_path: Path) -> None:
    write_folder(tmp_path / "a", ["cat", "dog"], 10)
    assert told(DataOptions(path=tmp_path / "a"))[1] is ImageSet
    picture(0, side=9).save(tmp_path / "a" / "cat" / "000.png")
    assert told(DataOptions(path=tmp_path / "a")) == ("20 images, streamed: they differ in size", StreamedSet)
    assert told(DataOptions(path=tmp_path / "a", resize=8))[1] is ImageSet


def test_free_memory_is_the_least_that_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(memory, "_system", lambda: 1000)
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    assert free_bytes(cpu) == 1000
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert free_bytes(cpu) == 1000
    (tmp_path / "memory.max").write_text("700\n")
    assert free_bytes(cpu) == 300
    (tmp_path / "memory.stat").write_text("anon 50\nfile 100\nfile_mapped 70\n")
    assert free_bytes(cpu) == 400
    assert fits(200, cpu)
    assert not fits(201, cpu)


def test_this_machine_has_memory() -> None:
    size = free_bytes(torch.device("cpu"))
    assert size is None or size > 2**20


def test_batches_are_made_to_fit() -> None:
    made = make_batches(image_set(), batch_size=4, mean=(0.5,) * 3, std=(0.2,) * 3)
    assert isinstance(made, Batches)
    streamed = load(DataOptions(name="digits", limit=20, resident=False))
    assert isinstance(make_batches(streamed.train, batch_size=4, mean=streamed.mean, std=streamed.std), StreamedBatches)
