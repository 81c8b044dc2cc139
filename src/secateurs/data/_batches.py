"""Batches made on the device, without worker processes."""

from collections.abc import Iterator, Sequence
from typing import final

from torch import Tensor

from secateurs.data._batch_options import BatchOptions
from secateurs.data._draws import Draws
from secateurs.data._image_set import ImageSet
from secateurs.data._stepped import Stepped

__all__ = ["Batches"]


@final
class Batches(Stepped):
    """Batches (float32 x [B, C, H, W], normalised; int64 y [B]) of an image set, for as many loops as wanted.

    Images stay uint8 on the device. Order and augmentation depend on (seed, epoch, image index) alone:
    equal for equal keys whatever the batch size, and the same in a run that was resumed. Two loops without
    `set_epoch` between them are equal.

    Args:
        images: what to make batches of.
        batch_size: images in a batch.
        mean: per channel, of pixels scaled to 0..1.
        std: the same.
        seed: of order and augmentation.
        options: see `BatchOptions`.

    Attributes:
        normalisation: mean and std.
        options: how the batches are made.
    """

    def __init__(
        self,
        images: ImageSet,
        *,
        batch_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        seed: int = 0,
        options: BatchOptions | None = None,
    ) -> None:
        super().__init__(images, batch_size, (mean, std), seed=seed, options=options or BatchOptions())
        self._images = images.to(self._device)
        self._finisher.check(images.size)

    @property
    def images(self) -> ImageSet:
        """The image set, on the device."""
        return self._images

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of what the batches hold."""
        return self._finisher.shape((self._images.channels, *self._images.size))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        start, order, key = self._begun()
        draws = Draws(key, self._images.indices)
        for step in range(start, len(self)):
            positions = self._steps.positions(order, step)
            yield self._inputs(positions, draws.at(positions)), self._images.labels[positions]

    def _inputs(self, positions: Tensor, draws: Draws) -> Tensor:
        # index_select: twenty times as fast as images[positions] on the CPU.
        images = self._images.images.index_select(0, positions)
        return self._finisher.finished(self._finisher.sized(images, draws), draws)
