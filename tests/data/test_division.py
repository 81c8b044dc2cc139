"""Splits that are kept and used again."""

from pathlib import Path
from typing import Any

import pytest
import torch

from secateurs._errors import DataError, FileError
from secateurs._files import save_tensors
from secateurs.data import SPLIT_FILE, DataOptions, Division, Splits, load
from tests.data.making import write_folder


def indices(splits: Splits) -> list[list[int]]:
    return [part.indices.tolist() for part in (splits.train, splits.validation, splits.test)]


def saved(splits: Splits, path: Path) -> Path:
    assert splits.division is not None
    splits.division.save(path)
    return path


@pytest.mark.parametrize("changes", [{}, {"limit": 200}, {"classes": (1, 5)}, {"validation_ratio": 0.0}])
def test_a_split_comes_back_whatever_the_options_say(changes: dict[str, Any], tmp_path: Path) -> None:
    first = load(DataOptions(name="digits", split_seed=3, **changes))
    path = saved(first, tmp_path / SPLIT_FILE)
    again = load(DataOptions(name="digits", classes=changes.get("classes"), split_from=tmp_path))
    assert indices(again) == indices(first)
    assert (again.mean, again.std) == (first.mean, first.std)
    given = load(DataOptions(name="digits", classes=changes.get("classes")), division=Division.load(path))
    assert indices(given) == indices(first)


def test_a_subset_takes_its_part_of_the_split_of_a_run_on_all_classes(tmp_path: Path) -> None:
    whole = load(DataOptions(name="digits", split_seed=3, limit=600, validation_ratio=0.3))
    path = saved(whole, tmp_path / "a.safetensors")
    part = load(DataOptions(name="digits", classes=(2, 3), split_from=path))
    for one, all_of in ((part.train, whole.train), (part.validation, whole.validation), (part.test, whole.test)):
        assert torch.equal(one.indices, all_of.indices[torch.isin(all_of.labels, torch.tensor([2, 3]))])
    assert part.mean == whole.mean
    mine = load(DataOptions(name="digits", classes=(2, 3), split_from=path, mean=(0.5,)))
    assert (mine.mean, mine.std) == ((0.5,), whole.std)


def test_a_test_split_of_its_own(tmp_path: Path) -> None:
    write_folder(tmp_path / "pets" / "train", ["cat", "dog"], 10)
    write_folder(tmp_path / "pets" / "test", ["cat", "dog"], 4, start=500)
    first = load(DataOptions(path=tmp_path / "pets", split_seed=1, limit=12))
    saved(first, tmp_path / SPLIT_FILE)
    assert indices(load(DataOptions(path=tmp_path / "pets", split_from=tmp_path))) == indices(first)


def test_other_data_are_refused(tmp_path: Path) -> None:
    saved(load(DataOptions(name="digits")), tmp_path / SPLIT_FILE)
    write_folder(tmp_path / "pets", ["cat", "dog"], 10)
    with pytest.raises(DataError, match=r"wanted the data set 'digits' that was divided, splits of 1797 rows, got spl"):
        load(DataOptions(path=tmp_path / "pets", split_from=tmp_path))
    saved(load(DataOptions(path=tmp_path / "pets")), tmp_path / "b.safetensors")
    (tmp_path / "pets" / "dog" / "009.png").rename(tmp_path / "pets" / "cat" / "010.png")
    with pytest.raises(DataError, match=r"wanted the data set 'pets' that was divided, .*got other labels\. Give the"):
        load(DataOptions(path=tmp_path / "pets", split_from=tmp_path / "b.safetensors"))


def test_files_that_are_no_splits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"split\.safetensors: wanted a safetensors file, got no such file"):
        load(DataOptions(name="digits", split_from=tmp_path))
    path = tmp_path / "a.safetensors"
    plain = '{"name": "digits", "labels": "", "mean": null, "std": null}'
    for tensors, metadata in (
        ({"train": torch.zeros(3, dtype=torch.uint8)}, {}),
        ({"train": torch.zeros(3, dtype=torch.uint8)}, {"split": "[]"}),
        ({"train": torch.zeros(3, dtype=torch.uint8)}, {"split": plain.replace("null", '"x"')}),
        ({"train": torch.full((3,), 9, dtype=torch.uint8)}, {"split": plain}),
        ({"train": torch.zeros(3)}, {"split": plain}),
        ({"other": torch.zeros(3, dtype=torch.uint8)}, {"split": plain}),
    ):
        save_tensors(path, tensors, metadata)
        with pytest.raises(FileError, match="wanted the split of a data set, got"):
            Division.load(path)
    path.write_bytes(saved(load(DataOptions(name="digits")), path).read_bytes()[:-1] + b"\x07")
    with pytest.raises(FileError, match="SHA-256 does not fit"):
        Division.load(path)
