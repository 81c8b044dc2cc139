"""Which rectangle of an image is taken."""

from functools import lru_cache

import torch
from torch import Tensor

from secateurs.data._augment import ResizedCrop
from secateurs.data._draws import Draws
from secateurs.data._resample import Boxes

__all__ = ["central_boxes", "random_boxes"]

_AREA, _RATIO, _PLACE = 100, 200, 300
_ATTEMPTS = 10
_LEVELS = 1024
# The custom of ImageNet: the shorter side to 256, of which the central 224 are taken.
_CENTRAL = 7 / 8


def random_boxes(draws: Draws, height: Tensor, width: Tensor, options: ResizedCrop) -> Boxes:
    """Area and ratio are drawn until the box fits, ten times at most, then its place; else the greatest central box.

    `height` and `width` are int64 [B], so images may differ in size.
    """
    tall, wide = _fallback(height, width, options)
    found = torch.zeros_like(height, dtype=torch.bool)
    levels = _ratios(*options.ratio, height.device)
    area = (height * width).float()
    for attempt in range(_ATTEMPTS):
        taken = area * draws.between(_AREA + attempt, *options.scale)
        ratio = levels[draws.below(_RATIO + attempt, _LEVELS)]
        w, h = (taken * ratio).sqrt().round().long(), (taken / ratio).sqrt().round().long()
        fits = (w >= 1) & (h >= 1) & (w <= width) & (h <= height) & ~found
        tall, wide, found = torch.where(fits, h, tall), torch.where(fits, w, wide), found | fits
    top = _placed(draws.unit(_PLACE), height - tall, found)
    left = _placed(draws.unit(_PLACE + 1), width - wide, found)
    return Boxes(top=top, left=left, height=tall, width=wide)


def central_boxes(height: Tensor, width: Tensor, size: int) -> Boxes:
    """The whole of an image of the size wanted, else the central square of 7/8 of its shorter side."""
    shorter = torch.minimum(height, width)
    side = (shorter * _CENTRAL).round().long().clamp(min=1)
    side = torch.where((height == size) & (width == size), size, side)
    top, left = ((full - side) // 2 for full in (height, width))
    return Boxes(top=top, left=left, height=side, width=side)


def _fallback(height: Tensor, width: Tensor, options: ResizedCrop) -> tuple[Tensor, Tensor]:
    """The greatest box within the ratios."""
    low, high = options.ratio
    tall = torch.minimum(height, (width / low).round().long()).clamp(min=1)
    wide = torch.minimum(width, (height * high).round().long()).clamp(min=1)
    return tall, wide


def _placed(unit: Tensor, room: Tensor, found: Tensor) -> Tensor:
    """A uniform place of a found box; the middle for the others."""
    return torch.where(found, (unit * (room + 1)).long().clamp(max=room), room // 2)


@lru_cache(maxsize=8)
def _ratios(low: float, high: float, device: torch.device) -> Tensor:
    """Even steps in the logarithm, worked out once: an exp per batch would round differently on each device."""
    steps = [low * (high / low) ** ((level + 0.5) / _LEVELS) for level in range(_LEVELS)]
    return torch.tensor(steps, device=device)
