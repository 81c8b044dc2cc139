"""Pictures that are kept beside UnitMem, for reports."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from secateurs._files import load_tensors
from secateurs.data import DataOptions, ImageSet, StreamedSet, load
from secateurs.recipes._level_format import IMAGES_FILE
from secateurs.recipes._level_images import save_level_images


def images(count: int, height: int, width: int) -> ImageSet:
    """Image n is of level n all over, and has index 10 + 2 n."""
    levels = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, height, width)
    labels = torch.zeros(count, dtype=torch.int64)
    return ImageSet(images=levels.contiguous(), labels=labels, indices=10 + 2 * torch.arange(count), classes=("a",))


def seen(**layers: dict[int, float]) -> dict[str, Tensor]:
    """Layers with units of these values, by image; several units of an image are not needed here."""
    found: dict[str, Tensor] = {}
    for layer, units in layers.items():
        found[f"{layer}.values"] = torch.tensor([*units.values()], dtype=torch.float64)
        found[f"{layer}.images"] = torch.tensor([*units])
    return found


def kept(folder: Path) -> dict[int, Tensor]:
    """What was written: index to image."""
    tensors, _ = load_tensors(folder / IMAGES_FILE)
    return dict(zip(tensors["indices"].tolist(), tensors["images"], strict=True))


def test_the_ten_highest_images_of_each_layer_are_kept(tmp_path: Path) -> None:
    many = {10 + 2 * number: number / 20 for number in range(14)}
    save_level_images(tmp_path, seen(conv1=many, conv2={12: 0.9, -1: 0.0}), images(14, 4, 6))
    found = kept(tmp_path)
    assert sorted(found) == [12, *range(18, 37, 2)]
    assert all(image.shape == (3, 4, 6) and (image == (index - 10) // 2).all() for index, image in found.items())


def test_layers_of_dead_units_leave_no_file(tmp_path: Path) -> None:
    save_level_images(tmp_path, seen(conv1={-1: 0.0}), images(2, 4, 4))
    assert not (tmp_path / IMAGES_FILE).exists()


def test_large_images_are_made_small(tmp_path: Path) -> None:
    save_level_images(tmp_path, seen(conv1={10: 0.3, 12: 0.2}), images(2, 100, 200))
    assert {index: tuple(image.shape) for index, image in kept(tmp_path).items()} == {10: (3, 32, 64), 12: (3, 32, 64)}
    assert (kept(tmp_path)[12] == 1).all()


def test_images_of_many_sizes_become_squares_that_still_are_these_images(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "images" / label).mkdir(parents=True)
    for row in range(30):
        level = Image.new("RGB", (20 + 3 * row, 50), (5 * row, 0, 255 - 5 * row))
        level.save(tmp_path / "images" / ("cat", "dog")[row % 2] / f"{row:02}.png")
    train = load(DataOptions(path=tmp_path / "images", validation_ratio=0)).train
    assert isinstance(train, StreamedSet)
    chosen = train.indices[[1, 4]].tolist()
    save_level_images(tmp_path, seen(conv1={chosen[0]: 0.3, chosen[1]: 0.2}), train)
    found = kept(tmp_path)
    assert sorted(found) == sorted(chosen)
    for position, index in zip((1, 4), chosen, strict=True):
        (image,) = train.read([position])
        assert found[index].shape == (3, 64, 64)
        assert torch.equal(found[index][:, 30, 30], image[:, 5, 5])
