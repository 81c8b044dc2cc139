"""A disk that fills up in the middle: a clear error, and the checkpoint of before goes on once there is room."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from secateurs._errors import FileError
from secateurs._files import load_tensors
from secateurs.training import EpochRecord, train
from tests.training._toys import Shuffled, make_network, split_batches, toy_images
from tests.training.test_resume import RUNS, assert_same, uninterrupted

resource = pytest.importorskip("resource", reason="limits on files are POSIX")

TRAIN, VALIDATION = toy_images(200, seed=1), split_batches(*toy_images(100, seed=2))


@contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(path)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small file system here: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


@contextmanager
def small_files() -> Iterator[Callable[[], None]]:
    """Gives a function from whose call on this process writes no more than 2,000 bytes into one file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def stopped_by(fill: Callable[[], None], path: Path, message: str) -> bytes:
    """Train until a full disk stops it after the second epoch; the checkpoint that is left."""
    left: list[bytes] = []

    def full(record: EpochRecord) -> None:
        if record.epoch == 1:
            left.append(path.read_bytes())
            fill()

    with pytest.raises(FileError, match=f"wanted a file that can be written, got {message}. Make room"):
        train(
            make_network(),
            Shuffled(*TRAIN),
            RUNS["average"],
            validation=VALIDATION,
            checkpoint=path,
            on_epoch=full,
        )
    return left[0]


def goes_on(path: Path) -> None:
    """It ends as if nothing had happened."""
    model, batches = make_network(seed=5), Shuffled(*TRAIN)
    resumed = train(model, batches, RUNS["average"], validation=VALIDATION, checkpoint=path)
    assert batches.epochs == [2, 3]
    assert_same((model, resumed), uninterrupted(RUNS["average"]))


def fill(path: Path) -> None:
    """Leave no byte on the disk that `path` is on."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            os.fsync(file.fileno())


def test_a_full_file_system(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        path = disk / "checkpoint.safetensors"
        left = stopped_by(lambda: fill(disk / "filler"), path, "No space left on device")
        assert path.read_bytes() == left
        assert load_tensors(path, hashed=True)[1]["format"] == "secateurs-training-2"
        assert sorted(file.name for file in disk.iterdir() if file.name.startswith(".")) == []
        (disk / "filler").unlink()
        goes_on(path)


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    with small_files() as limit:
        left = stopped_by(limit, path, "File too large")
        assert path.read_bytes() == left
        assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []
    goes_on(path)
