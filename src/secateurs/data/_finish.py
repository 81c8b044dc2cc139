"""From the uint8 images of a batch to what a network is fed."""

from collections.abc import Sequence

import torch
from torch import Tensor

from secateurs._errors import DataError
from secateurs.data._augment import Augment
from secateurs.data._boxes import central_boxes, random_boxes
from secateurs.data._colour import recoloured
from secateurs.data._cutout import cut_out
from secateurs.data._draws import Draws
from secateurs.data._resample import Boxes, resampled
from secateurs.data._window import windowed

__all__ = ["Finisher"]


class Finisher:
    """Size, augmentation, normalisation: each image by its own random numbers, whatever else is in the batch.

    Args:
        augment: what is done, and in which order.
        fit: side that images are brought to where `augment` does not say; None for images that stay as they are.
        mean: per channel, of pixels scaled to 0..1.
        std: the same.
        channels_last: memory format of the result.
    """

    def __init__(
        self, *, augment: Augment, fit: int | None, mean: Sequence[float], std: Sequence[float], channels_last: bool
    ) -> None:
        self._augment, self._channels_last = augment, channels_last
        self._fit = None if augment.resized_crop is not None else fit
        # (x / 255 - mean) / std as one product and one sum.
        spread = torch.tensor(list(std), dtype=torch.float64)
        centre = torch.tensor(list(mean), dtype=torch.float64)
        self._scale = (1 / (255 * spread)).float().view(1, -1, 1, 1)
        self._shift = (-centre / spread).float().view(1, -1, 1, 1)

    def to(self, device: torch.device) -> "Finisher":
        """This, with its numbers on `device`."""
        self._scale, self._shift = self._scale.to(device), self._shift.to(device)
        return self

    def side(self) -> int | None:
        """The size that `sized` brings images to; None where it leaves them as they are."""
        crop = self._augment.resized_crop
        return self._fit if crop is None else crop.size

    def check(self, size: tuple[int, int]) -> None:
        """Refuse what images of `size` (height, width) cannot be given."""
        side, crop, blur = self.side(), self._augment.crop, self._augment.blur
        least = min(size) if side is None else side
        if blur is not None and blur.kernel // 2 >= least:
            raise DataError(
                "blur.kernel",
                wanted=f"at most {2 * least - 1}, because the image's {least} pixels are mirrored once",
                got=str(blur.kernel),
                cure="Change blur.kernel.",
            )
        if self._augment.crop_padding == "reflect" and crop >= least:
            raise DataError(
                "augment.crop",
                wanted=f"less than the image's {least} pixels, because the border mirrors them",
                got=str(crop),
                cure="Change augment.crop, or set augment.crop_padding to zeros.",
            )

    def shape(self, stored: tuple[int, int, int]) -> tuple[int, int, int]:
        """Channels, height and width of the results for images of the shape `stored`."""
        side = self.side()
        return stored if side is None else (stored[0], side, side)

    def sized(self, images: Tensor, draws: Draws) -> Tensor:
        """uint8 [B, C, H, W], brought to the batch's size."""
        side = self.side()
        if side is None:
            return images
        height, width = (torch.full((len(images),), extent, device=images.device) for extent in images.shape[2:])
        # Sixteen bits would not hold what resampling counts in.
        with torch.autocast(images.device.type, enabled=False):
            return resampled(images, self._boxes(height, width, side, draws), side)

    def each_sized(self, images: Sequence[Tensor], draws: Draws) -> list[Tensor]:
        """The same, pixel for pixel, for uint8 [C, H, W] that differ in size."""
        side = self.side()
        assert side is not None  # whoever holds such images has checked it
        height, width = (torch.tensor([image.shape[dim] for image in images]) for dim in (1, 2))
        boxes = self._boxes(height, width, side, draws)
        return [resampled(image[None], boxes.at(row), side)[0] for row, image in enumerate(images)]

    def _boxes(self, height: Tensor, width: Tensor, side: int, draws: Draws) -> Boxes:
        crop = self._augment.resized_crop
        return central_boxes(height, width, side) if crop is None else random_boxes(draws, height, width, crop)

    def finished(self, images: Tensor, draws: Draws) -> Tensor:
        """uint8 [B, C, H, W] of the batch's size to normalised float32."""
        images = windowed(images, draws, self._augment)
        if self._augment.recolours:
            with torch.autocast(images.device.type, enabled=False):
                x = recoloured(images.float().mul_(1 / 255), draws, self._augment)
            x = x.mul(255 * self._scale).add_(self._shift)
        else:
            x = images.float().mul_(self._scale).add_(self._shift)
        if self._augment.cutout:
            x = cut_out(x, draws, self._augment.cutout)
        return x.contiguous(memory_format=torch.channels_last) if self._channels_last else x
