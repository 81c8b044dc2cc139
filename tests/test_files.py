"""Files that are whole or not there, and tensors whose every byte is vouched for."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from secateurs._errors import FileError
from secateurs._files import load_tensors, remove_partial, save_tensors, write_bytes, write_text

TENSORS = {"a": torch.arange(40.0).view(5, 8), "b": torch.zeros(3, dtype=torch.int64), "empty": torch.zeros(0)}
METADATA = {"format": "x", "quoted": '{"sha256": "' + "0" * 64 + '"}', "unicode": "\u00e4\n\\"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "x.safetensors"
    save_tensors(path, TENSORS, METADATA)
    return path


def test_tensors_and_metadata_come_back(path: Path) -> None:
    tensors, metadata = load_tensors(path, hashed=True)
    assert metadata == METADATA
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], value) for name, value in TENSORS.items())
    assert torch.equal(safetensors.torch.load_file(path)["a"], TENSORS["a"])


def test_equal_content_gives_equal_bytes(path: Path) -> None:
    before = path.read_bytes()
    save_tensors(path, dict(reversed(TENSORS.items())), dict(reversed(METADATA.items())))
    assert path.read_bytes() == before


def damaged(content: bytes, draw: random.Random) -> bytes:
    """One of four accidents, at a random place."""
    place = draw.randrange(len(content))
    end = min(len(content), place + draw.choice([1, 8, 64, 512]))
    accidents: list[Callable[[], bytes]] = [
        lambda: content[:place],
        lambda: content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :],
        lambda: content[:place] + draw.randbytes(end - place) + content[end:],
        lambda: content[:place] + bytes(end - place) + content[end:],
    ]
    return draw.choice(accidents)()


def test_no_accident_goes_unnoticed(path: Path) -> None:
    content, draw, cases = path.read_bytes(), random.Random(0), 0
    while cases < 1000:
        other = damaged(content, draw)
        if other == content:  # zeros over zeros
            continue
        cases += 1
        path.write_bytes(other)
        with pytest.raises(FileError):
            load_tensors(path, hashed=True)
    print(f"{cases} damaged files, all noticed")


def test_a_single_flipped_bit_is_noticed_wherever_it_is(path: Path) -> None:
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(FileError):
            load_tensors(path, hashed=True)


def test_files_of_others_carry_no_hash_and_are_read_unless_one_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "theirs.safetensors"
    safetensors.torch.save_file(TENSORS, path)
    assert load_tensors(path)[1] == {}
    with pytest.raises(FileError, match="no SHA-256 inside"):
        load_tensors(path, hashed=True)


def test_the_one_before_is_kept(path: Path, tmp_path: Path) -> None:
    before, previous = path.read_bytes(), tmp_path / "previous"
    save_tensors(path, {"a": torch.ones(1)}, previous=previous)
    assert previous.read_bytes() == before
    assert load_tensors(path)[0]["a"] == 1
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_cut_short_leaves_what_was_there(
    error: BaseException, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def fail(_handle: int) -> None:
        raise error

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises((FileError, KeyboardInterrupt)):
        write_bytes(path, b"new")
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_what_kills_left_behind_is_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".model.safetensors.abc123.partial").write_bytes(b"half")
    write_text(tmp_path / "notes.partial", "somebody's own")
    write_text(tmp_path / "member" / ".run.json.abc123.partial", "another writer's")
    remove_partial(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*.partial")) == [".run.json.abc123.partial", "notes.partial"]
