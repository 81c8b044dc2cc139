"""Where data is looked for: paths, image folders and the hub."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

from secateurs._errors import DataError
from secateurs.data import DataOptions
from tests.data.making import load_held, picture, write_folder


def test_a_folder_of_classes_is_divided(tmp_path: Path) -> None:
    write_folder(tmp_path / "animals", ["dog", "cat"], 10)
    (tmp_path / "animals" / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "animals" / ".cache").mkdir()
    splits = load_held(DataOptions(path=tmp_path / "animals"))
    assert splits.train.classes == ("cat", "dog")
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (14, 2, 4)
    # Rows go class by class in the order of names: cat (made second, seeds from 100), then dog.
    for image, index, label in zip(
        splits.train.images, splits.train.indices.tolist(), splits.train.labels.tolist(), strict=True
    ):
        assert label == index // 10
        wanted = picture(100 + index if index < 10 else index - 10)
        assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(wanted))


def test_a_folder_of_splits_is_taken_as_divided(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", ["cat", "dog"], 5)
    write_folder(tmp_path / "test", ["dog"], 3, start=500)
    splits = load_held(DataOptions(path=tmp_path, validation_ratio=0.2))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (8, 2, 3)
    assert splits.test.labels.tolist() == [1, 1, 1]


def test_a_class_that_training_lacks_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", ["cat", "dog"], 3)
    write_folder(tmp_path / "test", ["cow"], 2)
    with pytest.raises(DataError, match=r"row 0: wanted a class that the training split has, got 'cow'"):
        load_held(DataOptions(path=tmp_path))


def test_a_bad_image_file_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path / "a", ["cat", "dog"], 3)
    (tmp_path / "a" / "dog" / "001.png").write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"dog.001\.png: wanted an image that can be decoded, got bytes in none"):
        load_held(DataOptions(path=tmp_path / "a"))


def test_folders_that_are_no_image_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"wanted Parquet files, or a sub-folder for each class, got neither"):
        load_held(DataOptions(path=tmp_path))
    picture(0).save(tmp_path / "0.png")
    with pytest.raises(DataError, match=r"got images without sub-folders\. Put the images of each class"):
        load_held(DataOptions(path=tmp_path))
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match=r"cat: wanted images \(\.bmp, .*\), got none"):
        load_held(DataOptions(path=tmp_path))


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing: wanted a Parquet file or a folder, got nothing there"):
        load_held(DataOptions(path=tmp_path / "missing"))
    (tmp_path / "a.csv").write_text("x")
    with pytest.raises(DataError, match=r"a\.csv: wanted a Parquet file or a folder, got a file of kind '\.csv'"):
        load_held(DataOptions(path=tmp_path / "a.csv"))


def test_a_name_goes_through_load_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_folder(tmp_path / "pets" / "train", ["cat", "dog"], 6)
    write_folder(tmp_path / "pets" / "test", ["cat", "dog"], 2, start=50)
    fetch = datasets.load_dataset
    monkeypatch.setattr(datasets, "load_dataset", lambda name: fetch(str(tmp_path / name.rpartition("/")[2])))
    splits = load_held(DataOptions(name="somebody/pets", validation_ratio=0.5))
    assert splits.train.classes == ("cat", "dog")
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (6, 6, 4)
    first = splits.test.images[splits.test.indices == 0][0]
    assert np.array_equal(first.permute(1, 2, 0).numpy(), np.asarray(picture(50)))


def test_a_name_that_cannot_be_had_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def unreachable(name: str, **_: Any) -> None:
        asked.append(name)
        raise ConnectionError(f"Couldn't reach '{name}' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(
        DataError,
        match=r"data\.name: wanted one of digits, mnist, .*, or OWNER/NAME .*, got 'digit'\. Did you mean 'digits'\?",
    ):
        load_held(DataOptions(name="digit"))
    with pytest.raises(DataError, match=r"data\.name=a/b: .*\. Check the name and the network, or give local files"):
        load_held(DataOptions(name="a/b"))
    assert asked == ["a/b"]


def test_known_names_are_local_folders_or_what_the_hub_calls_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "mnist", ["0", "1"], 10)
    monkeypatch.setenv("SECATEURS_DATA", str(tmp_path))
    splits = load_held(DataOptions(name="mnist"))
    assert splits.name == "mnist"
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 20
    asked: list[str] = []

    def unreachable(name: str, **_: Any) -> None:
        asked.append(name)
        raise ConnectionError

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(DataError, match=r"data\.name=uoft-cs/cifar10"):
        load_held(DataOptions(name="cifar10"))
    monkeypatch.delenv("SECATEURS_DATA")
    with pytest.raises(DataError):
        load_held(DataOptions(name="mnist"))
    assert asked == ["uoft-cs/cifar10", "ylecun/mnist"]


def test_offline_names_are_refused_by_the_library_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"data\.name=nobody/nothing: wanted 'digits', or a data set"):
        load_held(DataOptions(name="nobody/nothing"))


def test_unreadable_folders_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "a", ["cat", "dog"], 2)
    listed = Path.iterdir

    def forbidden(path: Path) -> Any:
        if path.name == "dog":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", forbidden)
    with pytest.raises(DataError, match=r"dog: wanted a folder that can be read, got Permission denied"):
        load_held(DataOptions(path=tmp_path / "a"))


def test_importing_the_package_imports_no_library_of_the_extra() -> None:
    heavy = ("datasets", "PIL", "sklearn", "kornia", "pyarrow", "lightning_fabric")
    code = f"import sys, secateurs.data; sys.exit(', '.join(name for name in {heavy!r} if name in sys.modules) or 0)"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(
        DataError, match=r"wanted the Python module sklearn\.datasets.*pip install 'secateurs\[train\]'"
    ):
        load_held(DataOptions(name="digits"))
