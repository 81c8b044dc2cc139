"""The embedded digits, and what holds for every source."""

from typing import Any

import pytest
import torch

from secateurs._errors import DataError
from secateurs.data import DataOptions, ImageSet
from tests.data.making import load_held


def rows(part: ImageSet) -> set[int]:
    return set(part.indices.tolist())


def test_digits_are_the_real_ones() -> None:
    import numpy as np
    from sklearn.datasets import load_digits

    splits, original = load_held(DataOptions(name="digits")), load_digits()
    assert splits.name == "digits"
    assert splits.train.classes == tuple("0123456789")
    for part in (splits.train, splits.validation, splits.test):
        assert part.images.shape[1:] == (1, 8, 8)
        wanted = np.rint(original.images[part.indices.numpy()] * 255 / 16)
        assert np.array_equal(part.images[:, 0].numpy(), wanted)
        assert np.array_equal(part.labels.numpy(), original.target[part.indices.numpy()])


def test_the_three_parts_share_no_image_and_lose_none() -> None:
    splits = load_held(DataOptions(name="digits"))
    train, validation, test = rows(splits.train), rows(splits.validation), rows(splits.test)
    assert train.isdisjoint(validation)
    assert test.isdisjoint(train | validation)
    assert train | validation | test == set(range(1797))
    assert (len(test), len(validation)) == (359, 144)


def test_parts_are_stratified() -> None:
    splits = load_held(DataOptions(name="digits"))
    whole = torch.bincount(torch.cat([splits.train.labels, splits.validation.labels, splits.test.labels]))
    for part, ratio in ((splits.test, 0.2), (splits.validation, 0.8 * 0.1)):
        assert (torch.bincount(part.labels) - whole * ratio).abs().max() < 1.5


def test_validation_does_not_move_the_test_set() -> None:
    first, second = (load_held(DataOptions(name="digits", validation_ratio=ratio)) for ratio in (0.0, 0.3))
    assert rows(first.test) == rows(second.test)
    assert len(first.validation) == 0
    assert first.validation.images.shape[1:] == (1, 8, 8)


def test_split_seed_fixes_the_division() -> None:
    first, again, other = (load_held(DataOptions(name="digits", split_seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(first.train.images, again.train.images)
    assert rows(first.test) != rows(other.test)


def test_normalisation_comes_from_the_training_part_alone() -> None:
    splits = load_held(DataOptions(name="digits"))
    pixels = splits.train.images.double() / 255
    assert splits.mean == pytest.approx([pixels.mean().item()], rel=1e-12)
    assert splits.std == pytest.approx([pixels.std(correction=0).item()], rel=1e-12)


def test_given_normalisation_is_kept() -> None:
    splits = load_held(DataOptions(name="digits", mean=(0.5,)))
    assert splits.mean == (0.5,)
    assert splits.std == pytest.approx([0.376], abs=0.001)


def test_limit_takes_few_of_each_part() -> None:
    splits = load_held(DataOptions(name="digits", limit=100))
    assert len(splits.train) + len(splits.validation) == 100
    assert len(splits.validation) == 10
    assert len(splits.test) == round(100 * 359 / 1438)
    assert rows(splits.test) <= rows(load_held(DataOptions(name="digits")).test)


@pytest.mark.parametrize(
    ("limit", "test_limit", "left"), [(100, 359, 359), (100, 1000, 359), (None, 40, 40), (50, 7, 7)]
)
def test_test_images_have_a_limit_of_their_own(limit: int | None, test_limit: int, left: int) -> None:
    splits = load_held(DataOptions(name="digits", limit=limit, test_limit=test_limit))
    assert len(splits.test) == left
    assert len(splits.train) + len(splits.validation) == (limit or 1438)
    assert rows(splits.test) <= rows(load_held(DataOptions(name="digits")).test)


def test_resize_and_channels() -> None:
    splits = load_held(DataOptions(name="digits", resize=32, channels=3, limit=50))
    images = splits.train.images
    assert images.shape[1:] == (3, 32, 32)
    assert torch.equal(images[:, 0], images[:, 2])
    plain = load_held(DataOptions(name="digits", limit=50)).train.images
    assert (images.double().mean() - plain.double().mean()).abs() < 3
    assert len(splits.mean) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"data: wanted either data\.name or data\.path, got name=None, path=None"),
        ({"name": "digits", "path": "x"}, r"data: wanted either .* got name='digits', path='x'"),
        ({"name": "digits", "validation_ratio": 1.0}, r"data\.validation_ratio: wanted 0 or more .* got 1\.0"),
        ({"name": "digits", "test_ratio": 0.0}, r"data\.test_ratio: wanted more than 0 .* got 0\.0"),
        ({"name": "digits", "resize": 0}, r"data\.resize: wanted 1 to 8000 pixels, got 0"),
        ({"name": "digits", "limit": 0}, r"data\.limit: wanted 1 or more images, got 0"),
        ({"name": "digits", "channels": 2}, r"data\.channels: wanted 1 or 3, got 2"),
        ({"name": "digits", "std": (0.0,)}, r"data\.std: wanted positive numbers, got \(0\.0,\)"),
        ({"name": "digits", "mean": (0.1, 0.2)}, r"data\.mean: wanted 1 numbers, one for each channel"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_held(DataOptions(**options))


def test_too_few_images_are_refused() -> None:
    # One image for training, and the draw for testing is rounded up to one, but validation may not take the only one.
    splits = load_held(DataOptions(name="digits", limit=1, validation_ratio=0.9))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (1, 0, 1)
