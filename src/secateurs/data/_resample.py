"""Rectangles of images brought to one size, in whole numbers: every device and batch size gives the same pixels."""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Boxes", "resampled"]

# Weights in 1/2048 and three more bits for the pixels in between: factors fit the 11 bits that even TF32 keeps and
# sums stay below 2^24, so float32 products are exact whatever their order.
_WEIGHT, _BETWEEN = 2048, 8
# Numbers of weights held at once, which bounds memory; chunks change nothing else.
_CHUNK = 2**23


@dataclass(frozen=True, kw_only=True)
class Boxes:
    """A rectangle for each image, in whole pixels, int64 [B] each."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor

    def at(self, row: int) -> "Boxes":
        """That of one image, as a batch of one."""
        top, left, height, width = (tensor[row : row + 1] for tensor in (self.top, self.left, self.height, self.width))
        return Boxes(top=top, left=left, height=height, width=width)


def resampled(images: Tensor, boxes: Boxes, size: int) -> Tensor:
    """uint8 [B, C, H, W] to uint8 [B, C, size, size]: each image's box, bilinear.

    A triangle filter as wide as the step between results where that exceeds a pixel, so shrinking does not alias;
    pixels outside the box play no part, as if it had been cut out before. Values are within one grey level of
    exact arithmetic.
    """
    rows = max(1, _CHUNK // (size * max(images.shape[2:])))
    starts = range(0, len(images), rows)
    parts = [_part(images, boxes, size, slice(start, start + rows)) for start in starts]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _part(images: Tensor, boxes: Boxes, size: int, chosen: slice) -> Tensor:
    images = images[chosen]
    count, channels, height, width = images.shape
    across = _weights(boxes.left[chosen], boxes.width[chosen], width, size)
    down = _weights(boxes.top[chosen], boxes.height[chosen], height, size)
    pixels = images.reshape(count, channels * height, width).float()
    between = ((pixels @ across).add_(_WEIGHT / _BETWEEN / 2) * (_BETWEEN / _WEIGHT)).floor_()
    columns = between.view(count, channels, height, size).transpose(2, 3).reshape(count, channels * size, height)
    done = ((columns @ down).add_(_WEIGHT * _BETWEEN / 2) * (1 / (_WEIGHT * _BETWEEN))).floor_()
    return done.to(torch.uint8).view(count, channels, size, size).transpose(2, 3).contiguous()


def _weights(start: Tensor, length: Tensor, extent: int, size: int) -> Tensor:
    """float32 [B, extent, size] of whole numbers, each column summing to `_WEIGHT`.

    Lengths are counted in 1 / (2 size) pixels, in which all centres and distances are whole; float64 holds such
    numbers exactly, and is twice as fast as int64.
    """
    start, length = start.double()[:, None, None], length.double()[:, None, None]
    pixel = torch.arange(extent, device=start.device, dtype=torch.float64)[:, None]
    wanted = torch.arange(size, device=start.device, dtype=torch.float64)
    centre = 2 * size * start + (2 * wanted + 1) * length
    reach = 2 * length.clamp(min=size)
    height = (reach - (((2 * pixel + 1) * size) - centre).abs_()).clamp_(min=0)
    height *= (pixel >= start) & (pixel < start + length)
    # Rounded running sums, then their steps: the weights keep their sum exactly.
    running = height.cumsum(1)
    total = running[:, -1:].clone()
    running.mul_(2 * _WEIGHT).add_(total).div_(2 * total).floor_()
    running[:, 1:] -= running[:, :-1].clone()
    return running.float()
