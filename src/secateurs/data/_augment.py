"""Random crops and flips of a whole batch at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from secateurs._errors import DataError
from secateurs.data._hash import keyed, keyed_below

__all__ = ["Augment", "augmented"]

_DOWN, _RIGHT, _FLIP = 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class Augment:
    """What is done to training images.

    Attributes:
        crop: pixels of black border (zero before normalisation) put around an image, of which a random window
            of the image's own size is taken; 4 is the custom for CIFAR.
        flip: mirror left and right with probability one half.
    """

    crop: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        if self.crop < 0:
            raise DataError("augment.crop", wanted="0 or more pixels", got=str(self.crop), cure="Change augment.crop.")


def augmented(images: Tensor, indices: Tensor, key: Sequence[int], options: Augment) -> Tensor:
    """uint8 [B, C, H, W] in, the same shape out; what an image gets depends on `key` and its index alone."""
    if not (options.crop or options.flip):
        return images
    count, channels, height, width = images.shape
    down = torch.arange(height, device=images.device).expand(count, -1)
    right = torch.arange(width, device=images.device).expand(count, -1)
    if options.flip:
        mirrored = (keyed((*key, _FLIP), indices) < 0)[:, None]
        right = torch.where(mirrored, right.flip(1), right)
    if options.crop:
        offsets = 2 * options.crop + 1
        images = F.pad(images, (options.crop,) * 4)
        down = down + keyed_below((*key, _DOWN), indices, offsets)[:, None]
        right = right + keyed_below((*key, _RIGHT), indices, offsets)[:, None]
    # One gather of pixel numbers; indexing by rows and columns, or flipping by `where`, took twice as long.
    pixels = (down[:, :, None] * images.shape[3] + right[:, None, :]).flatten(1)
    taken = images.flatten(2).gather(2, pixels[:, None].expand(-1, channels, -1))
    return taken.view(count, channels, height, width)
