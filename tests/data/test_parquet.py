"""Parquet files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from secateurs._errors import DataError
from secateurs.data import DataOptions
from tests.data.making import cells, encoded, load_held, picture, write_plain, write_typed


def two_splits(path: Path) -> Path:
    """Training rows in two files, whose first and last images are told by their seed; and a test file."""
    path.mkdir()
    write_typed(path / "train-00000-of-00002.parquet", {"img": cells(12), "label": [0, 1] * 6}, ["cat", "dog"])
    write_typed(path / "train-00001-of-00002.parquet", {"img": cells(8, start=12), "label": [0, 1] * 4}, ["cat", "dog"])
    write_typed(path / "test.parquet", {"img": cells(6, start=50), "label": [1] * 6}, ["cat", "dog"])
    return path


def test_files_of_a_folder_are_joined_by_split(tmp_path: Path) -> None:
    splits = load_held(DataOptions(path=two_splits(tmp_path / "animals"), validation_ratio=0.2))
    assert splits.name == "animals"
    assert splits.train.classes == ("cat", "dog")
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (16, 4, 6)
    for part, start in ((splits.train, 0), (splits.validation, 0), (splits.test, 50)):
        for image, index in zip(part.images, part.indices.tolist(), strict=True):
            assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(picture(start + index)))


def test_validation_comes_from_the_training_split_only(tmp_path: Path) -> None:
    splits = load_held(DataOptions(path=two_splits(tmp_path / "animals"), validation_ratio=0.2))
    assert set(splits.train.indices.tolist()) | set(splits.validation.indices.tolist()) == set(range(20))
    assert splits.test.indices.tolist() == list(range(6))
    seen = {image.numpy().tobytes() for image in torch.cat([splits.train.images, splits.validation.images])}
    assert len(seen) == 20
    assert seen.isdisjoint(image.numpy().tobytes() for image in splits.test.images)


def test_one_file_is_divided(tmp_path: Path) -> None:
    write_typed(tmp_path / "all.parquet", {"img": cells(20), "label": [0, 1] * 10}, ["cat", "dog"])
    for path in (tmp_path / "all.parquet", tmp_path):
        splits = load_held(DataOptions(path=path))
        assert (len(splits.train), len(splits.validation), len(splits.test)) == (14, 2, 4)


@pytest.mark.parametrize("column", ["bytes", "struct"])
@pytest.mark.parametrize("kind", ["integers", "text"])
def test_files_without_features_are_read(tmp_path: Path, column: str, kind: str) -> None:
    images: list[Any] = cells(10)
    numbers = [0, 1] * 5
    write_plain(
        tmp_path / "plain.parquet",
        {
            "id": list(range(10)),
            "picture": [cell["bytes"] for cell in images] if column == "bytes" else images,
            "target": numbers if kind == "integers" else [("dog", "ant")[number] for number in numbers],
        },
    )
    splits = load_held(DataOptions(path=tmp_path / "plain.parquet"))
    assert splits.train.classes == (("0", "1") if kind == "integers" else ("ant", "dog"))
    flipped = kind == "text"
    assert torch.equal(splits.train.labels, splits.train.indices % 2 ^ flipped)


def test_a_column_that_states_grey_gives_one_channel(tmp_path: Path) -> None:
    images = [{"bytes": encoded(picture(seed, mode="L"), "WEBP"), "path": None} for seed in range(5)]
    assert Image.open(__import__("io").BytesIO(images[0]["bytes"])).mode == "RGB"
    write_typed(tmp_path / "grey.parquet", {"img": images, "label": [0] * 5}, ["x"], mode="L")
    assert load_held(DataOptions(path=tmp_path / "grey.parquet")).train.images.shape[1] == 1


def test_a_colour_image_among_grey_ones_makes_all_colour(tmp_path: Path) -> None:
    mixed = [cells(1, start=row, mode="RGB" if row == 7 else "L")[0] for row in range(10)]
    write_typed(tmp_path / "mixed.parquet", {"img": mixed, "label": [0] * 10}, ["x"])
    splits = load_held(DataOptions(path=tmp_path / "mixed.parquet"))
    for part in (splits.train, splits.validation, splits.test):
        assert part.images.shape[1] == 3
        for image, index in zip(part.images, part.indices.tolist(), strict=True):
            wanted = np.asarray(picture(index, mode="RGB" if index == 7 else "L").convert("RGB"))
            assert np.array_equal(image.permute(1, 2, 0).numpy(), wanted)


def test_a_missing_test_split_is_not_replaced_by_another(tmp_path: Path) -> None:
    for name in ("train", "validation"):
        write_typed(tmp_path / f"{name}.parquet", {"img": cells(4), "label": [0] * 4}, ["x"])
    with pytest.raises(DataError, match=r"wanted test_split to be one of train, validation, got 'test'"):
        load_held(DataOptions(path=tmp_path))
    assert len(load_held(DataOptions(path=tmp_path, test_split="validation")).test) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"train_split": "trian"},
            r"animals: wanted train_split to be one of test, train, got 'trian'\. Did you mean 'train'",
        ),
        ({"image_column": "image"}, r"image_column to be one of img, label, got 'image'\. Did you mean 'img'\?"),
        ({"label_column": "labels"}, r"label_column to be one of img, label, got 'labels'\. Did you mean 'label'\?"),
        ({"label_column": "zzz"}, r"got 'zzz'\. Set data\.label_column to one of these"),
        ({"image_column": "label"}, r"wanted images in column 'label', got a column of ClassLabel"),
        ({"label_column": "img"}, r"wanted labels in column 'img', got a column of Image"),
    ],
)
def test_unknown_columns_and_splits_are_named(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_held(DataOptions(path=two_splits(tmp_path / "animals"), **options))


def test_columns_that_cannot_be_guessed(tmp_path: Path) -> None:
    write_plain(tmp_path / "a.parquet", {"x": [1.0, 2.0], "label": [0, 1]})
    with pytest.raises(DataError, match=r"a\.parquet: wanted a column of images, got the columns x, label\."):
        load_held(DataOptions(path=tmp_path / "a.parquet"))
    write_plain(tmp_path / "b.parquet", {"x": cells(2), "y": [0.5, 1.0]})
    with pytest.raises(DataError, match=r"b\.parquet: wanted a column of labels, got the columns x, y\."):
        load_held(DataOptions(path=tmp_path / "b.parquet"))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, None, 1], r"bad\.parquet row 2: wanted a label, got none"),
        ([0, 1, -1, 1], r"bad\.parquet row 2: wanted a label of 0 to 1, got -1\..*hidden labels"),
        ([0, 1, 5_000_000, 1], r"bad\.parquet row 2: wanted class numbers counted from 0, got 5000000"),
    ],
)
def test_missing_and_negative_labels_are_refused(tmp_path: Path, labels: list[int | None], message: str) -> None:
    write_plain(tmp_path / "bad.parquet", {"img": cells(4), "label": labels})
    with pytest.raises(DataError, match=message):
        load_held(DataOptions(path=tmp_path / "bad.parquet"))


def test_a_test_split_of_other_classes_is_refused(tmp_path: Path) -> None:
    write_typed(tmp_path / "train.parquet", {"img": cells(4), "label": [0, 1] * 2}, ["cat", "dog"])
    write_typed(tmp_path / "test.parquet", {"img": cells(4), "label": [0, 1] * 2}, ["dog", "cat"])
    with pytest.raises(
        DataError, match=r"test\.parquet row 0: wanted the classes of the training split, \('cat', 'dog'\)"
    ):
        load_held(DataOptions(path=tmp_path))


@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "none"])
def test_bad_image_bytes_name_the_file_and_the_row_in_it(tmp_path: Path, damage: str) -> None:
    good = cells(6)
    whole = encoded(picture(3, side=64), "JPEG")
    bad = {"cut": whole[: len(whole) // 2], "noise": b"\x00\x01" * 40, "empty": b"", "none": None}[damage]
    write_typed(tmp_path / "train-0.parquet", {"img": good, "label": [0] * 6}, ["x"])
    rows = [*good[:4], None if bad is None else {"bytes": bad, "path": None}, good[5]]
    write_typed(tmp_path / "train-1.parquet", {"img": rows, "label": [0] * 6}, ["x"])
    write_typed(tmp_path / "test.parquet", {"img": good, "label": [0] * 6}, ["x"])
    with pytest.raises(
        DataError, match=r"train-1\.parquet row 4: wanted an image that can be decoded, got .+\. Replace"
    ):
        load_held(DataOptions(path=tmp_path, validation_ratio=0))


def test_sizes_that_differ_need_resize(tmp_path: Path) -> None:
    rows = [*cells(4), *cells(1, side=9)]
    write_typed(tmp_path / "sizes.parquet", {"img": rows, "label": [0] * 5}, ["x"])
    options = DataOptions(path=tmp_path / "sizes.parquet", test_ratio=0.5, validation_ratio=0, resident=True)
    with pytest.raises(DataError, match=r"(row \d: wanted|wanted test images of) . x . pixels, .* Set data\.resize="):
        load_held(options)
    resized = load_held(DataOptions(path=tmp_path / "sizes.parquet", resize=16))
    assert resized.train.images.shape[2:] == (16, 16)


def test_empty_and_damaged_files(tmp_path: Path) -> None:
    write_typed(tmp_path / "empty.parquet", {"img": [], "label": []}, ["x"])
    with pytest.raises(DataError, match=r"empty\.parquet: wanted at least one image, got no rows"):
        load_held(DataOptions(path=tmp_path / "empty.parquet"))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match=r"broken\.parquet: wanted a whole Parquet file, got"):
        load_held(DataOptions(path=tmp_path / "broken.parquet"))


def test_files_of_one_split_with_other_columns_are_refused(tmp_path: Path) -> None:
    write_plain(tmp_path / "train-0.parquet", {"img": cells(2), "label": [0, 1]})
    write_plain(tmp_path / "train-1.parquet", {"img": cells(2), "label": ["a", "b"]})
    with pytest.raises(DataError, match=r"wanted equal columns in train-0\.parquet, train-1\.parquet"):
        load_held(DataOptions(path=tmp_path))
