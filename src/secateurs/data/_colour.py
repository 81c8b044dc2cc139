"""Random colour changes and blur, by kornia's functions with numbers keyed to each image.

kornia's own modules would draw from torch's global generator, in sequence.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from secateurs.data._augment import Augment, Blur, ColourJitter
from secateurs.data._draws import Draws
from secateurs.data._libraries import library

__all__ = ["recoloured"]

_JITTER, _BRIGHTNESS, _CONTRAST, _SATURATION, _HUE, _GREY, _BLUR, _SIGMA = range(10, 18)
_SIGMAS = 64
# Means are sums of whole numbers, so that neither batch size nor threads can change a bit of them.
_FIXED_POINT = 2**16


def recoloured(x: Tensor, draws: Draws, options: Augment) -> Tensor:
    """Jitter, loss of colour and blur, in this order: float32 [B, C, H, W] of 0..1 in and out."""
    if options.colour is not None:
        x = _where(draws.happens(_JITTER, options.colour.probability), _jittered(x, draws, options.colour), x)
    if options.grayscale and x.shape[1] == 3:
        x = _where(draws.happens(_GREY, options.grayscale), _grey(x).expand_as(x), x)
    if options.blur is not None:
        x = _where(draws.happens(_BLUR, options.blur.probability), _blurred(x, draws, options.blur), x)
    return x


def _jittered(x: Tensor, draws: Draws, options: ColourJitter) -> Tensor:
    enhance = library("kornia.enhance")
    if options.brightness:
        x = enhance.adjust_brightness_accumulative(x, _factor(draws, _BRIGHTNESS, options.brightness))
    if options.contrast:
        x = _contrasted(x, _factor(draws, _CONTRAST, options.contrast))
    if x.shape[1] != 3:  # grey images have neither saturation nor hue
        return x
    if options.saturation:
        x = enhance.adjust_saturation_with_gray_subtraction(x, _factor(draws, _SATURATION, options.saturation))
    if options.hue:
        turn = 2 * math.pi * options.hue
        x = enhance.adjust_hue(x, draws.between(_HUE, -turn, turn))
    return x


def _contrasted(x: Tensor, factor: Tensor) -> Tensor:
    grey = (_grey(x) * _FIXED_POINT).round_().long()
    mean = grey.sum((1, 2, 3)).float() / (_FIXED_POINT * grey[0].numel())
    factor = factor[:, None, None, None]
    return (x * factor + mean[:, None, None, None] * (1 - factor)).clamp_(0, 1)


def _blurred(x: Tensor, draws: Draws, options: Blur) -> Tensor:
    """Borders are mirrored."""
    kernels = _kernels(options, x.device)[draws.below(_SIGMA, _SIGMAS)]
    x = _along(x, kernels, 2)
    return _along(x, kernels, 3)


def _along(x: Tensor, kernels: Tensor, dim: int) -> Tensor:
    blurred: Tensor = library("kornia.filters").filter2d(x, kernels[:, :, None] if dim == 2 else kernels[:, None])
    return blurred


def _grey(x: Tensor) -> Tensor:
    """Luma, [B, 1, H, W]."""
    grey: Tensor = library("kornia.color").rgb_to_grayscale(x) if x.shape[1] == 3 else x
    return grey


def _factor(draws: Draws, purpose: int, spread: float) -> Tensor:
    return draws.between(purpose, max(0.0, 1 - spread), 1 + spread)


def _where(chosen: Tensor, changed: Tensor, x: Tensor) -> Tensor:
    return torch.where(chosen[:, None, None, None], changed, x)


@lru_cache(maxsize=8)
def _kernels(options: Blur, device: torch.device) -> Tensor:
    """float32 [64, kernel]; worked out once, because an exp per batch would round differently on each device."""
    low, high = options.sigma
    rows = []
    for step in range(_SIGMAS):
        sigma = low + (high - low) * (step + 0.5) / _SIGMAS
        past = [(at - options.kernel // 2) / sigma for at in range(options.kernel)]
        row = [math.exp(-z * z / 2) for z in past]
        rows.append([value / sum(row) for value in row])
    return torch.tensor(rows, device=device)
