"""The images that units have memorised, as a sheet."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from secateurs._files import load_tensors
from secateurs.reporting._figure import new_figure
from secateurs.reporting._levels import Level
from secateurs.reporting._levels_layers import FILE

__all__ = ["IMAGES_FILE", "Memorised", "memorised", "memorised_figure"]

IMAGES_FILE = "unitmem_images.safetensors"
"""In the folder of a level, beside its UnitMem: `indices` int64 [N] and `images` uint8 [N, C, H, W]."""

_COLUMNS = 10
_TEXT = 0.5  # below each image, in widths of an image
_GAP = 0.12


@dataclass(frozen=True, kw_only=True, eq=False)
class Memorised:
    """An image that some units of a layer react to most.

    Attributes:
        index: in the training data.
        value: the highest UnitMem of these units.
        units: how many they are.
        image: uint8 [C, H, W].
    """

    index: int
    value: float
    units: int
    image: Tensor


def memorised(level: Level) -> dict[str, list[Memorised]]:
    """For each layer the images with the highest UnitMem, falling; empty where the level left no images."""
    if not (level.folder / FILE).exists() or not (level.folder / IMAGES_FILE).exists():
        return {}
    tensors, _ = load_tensors(level.folder / FILE)
    pictures, _ = load_tensors(level.folder / IMAGES_FILE)
    known = dict(zip(pictures["indices"].tolist(), pictures["images"], strict=True))
    layers = [name.removesuffix(".values") for name in tensors if name.endswith(".values")]
    ordered = [layer for layer in level.lost if layer in layers]
    found = {layer: _of_layer(tensors[f"{layer}.values"], tensors[f"{layer}.images"], known) for layer in ordered}
    return {layer: images for layer, images in found.items() if images}


def memorised_figure(name: str, level: Level, found: dict[str, list[Memorised]]) -> Any:
    """A row for each layer; below each image its UnitMem, its index, and the number of units where it is not one."""
    first = next(iter(found.values()))[0].image
    tall = first.shape[1] / first.shape[2]
    row_height = tall + _TEXT
    longest = max(map(len, found))
    width, height = 0.08 * longest + 0.85 * (1 + _GAP) * _COLUMNS, 0.85 * row_height * len(found)
    figure = new_figure(width + 0.2, height + 0.6)
    axes = figure.subplots()
    for row, images in enumerate(found.values()):
        top = row * row_height
        for column, shown in enumerate(images):
            left = column * (1 + _GAP)
            _draw(axes, shown, (left, left + 1, top + tall, top))
    axes.set_xlim(0, (1 + _GAP) * _COLUMNS)
    axes.set_ylim(row_height * len(found), 0)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([row * row_height + tall / 2 for row in range(len(found))], list(found), fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.spines[:].set_visible(False)
    told = "UnitMem, index in the training data; xN: the image of N units"
    figure.suptitle(f"{name}, before level {level.number}: images with the highest UnitMem\n{told}", x=0.01, ha="left")
    return figure


def _of_layer(values: Tensor, images: Tensor, known: dict[int, Tensor]) -> list[Memorised]:
    best: dict[int, tuple[float, int]] = {}
    for value, image in zip(values.tolist(), images.tolist(), strict=True):
        highest, units = best.get(image, (0.0, 0))
        best[image] = (max(highest, value), units + 1)
    order = sorted((image for image in best if image in known), key=lambda image: (-best[image][0], image))
    return [
        Memorised(index=image, value=best[image][0], units=best[image][1], image=known[image])
        for image in order[:_COLUMNS]
    ]


def _draw(axes: Any, shown: Memorised, extent: tuple[float, float, float, float]) -> None:
    # Enlarged by whole pixels, so that nothing is invented between them.
    pixels = shown.image.permute(1, 2, 0).squeeze(2).numpy()
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest", extent=extent)
    units = f" x{shown.units}" if shown.units > 1 else ""
    left, right, bottom, _ = extent
    text = f"{shown.value:.3f}{units}\n#{shown.index}"
    axes.text((left + right) / 2, bottom + 0.04, text, ha="center", va="top", fontsize=6.5, linespacing=1.05)
