"""The images behind the highest UnitMem of each layer, kept beside it for reports, which have no data."""

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from secateurs._files import save_tensors
from secateurs.data import ImageSet, StreamedSet
from secateurs.recipes._level_format import IMAGES_FILE

__all__ = ["pictures_of", "save_level_images"]

_PER_LAYER = 10
_SIDE = 64
"""Longest side of a picture that is kept; eighteen layers at eighteen levels are a few thousand of them."""


def save_level_images(folder: Path, seen: Mapping[str, Tensor], images: ImageSet | StreamedSet) -> None:
    """Write the images that the units with the highest values of each layer react to most; nothing where there is none.

    Args:
        folder: of the level.
        seen: LAYER.values and LAYER.images, as in the level's file of UnitMem.
        images: what these are indices of.
    """
    layers = [name.removesuffix(".values") for name in seen if name.endswith(".values")]
    wanted = {index for layer in layers for index in _highest(seen[f"{layer}.values"], seen[f"{layer}.images"])}
    rows = {index: row for row, index in enumerate(images.indices.tolist())}
    indices = sorted(index for index in wanted if index in rows)
    if indices:
        pictures = pictures_of(images, [rows[index] for index in indices])
        save_tensors(folder / IMAGES_FILE, {"indices": torch.tensor(indices), "images": pictures})


def _highest(values: Tensor, images: Tensor) -> list[int]:
    """Different images, by the highest value of any of their units; those of dead units (-1) are none."""
    best: dict[int, float] = {}
    for value, image in zip(values.tolist(), images.tolist(), strict=True):
        best[image] = max(value, best.get(image, 0.0))
    return sorted((image for image in best if image >= 0), key=lambda image: (-best[image], image))[:_PER_LAYER]


def pictures_of(images: ImageSet | StreamedSet, rows: list[int]) -> Tensor:
    """uint8 [N, C, H, W], small; where images differ in size, all square."""
    if isinstance(images, ImageSet):
        return _small(images.images[torch.tensor(rows, device=images.images.device)].cpu(), images.size)
    return torch.cat([_small(image[None], images.size) for image in images.read(rows)])


def _small(pictures: Tensor, size: tuple[int, int] | None) -> Tensor:
    height, width = (_SIDE, _SIDE) if size is None else size
    longest = max(height, width)
    if longest > _SIDE:
        height, width = max(1, _SIDE * height // longest), max(1, _SIDE * width // longest)
    if pictures.shape[2:] == (height, width):
        return pictures
    resized = F.interpolate(pictures.float(), size=(height, width), mode="bilinear", antialias=True)
    return resized.round().clamp(0, 255).to(torch.uint8)
