"""Batches of images that are decoded, or copied to the device, while the network works on those before."""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import final

import torch
from torch import Tensor

from secateurs._errors import DataError
from secateurs.data._batch_options import BatchOptions
from secateurs.data._draws import Draws
from secateurs.data._finish import Finisher
from secateurs.data._image_set import ImageSet
from secateurs.data._prefetch import prefetched, usual_threads
from secateurs.data._stepped import Stepped
from secateurs.data._streamed_set import StreamedSet
from secateurs.data._upload import Uploader

__all__ = ["StreamedBatches"]

# Images that one thread decodes in one go: enough that handing over costs nothing, few enough to share a batch out.
_CHUNK = 32
# Batches that are decoded, or being decoded, besides the one that the network works on.
_AHEAD = 2


@final
class StreamedBatches(Stepped):
    """What `Batches` gives, number for number, of images that the device does not hold.

    Threads decode ahead; memory is bounded by three batches, whatever the size of the set. A loop that is left
    early leaves no thread behind.

    Args:
        images: encoded, or decoded in the host's memory.
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
        images: ImageSet | StreamedSet,
        *,
        batch_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        seed: int = 0,
        options: BatchOptions | None = None,
    ) -> None:
        super().__init__(images, batch_size, (mean, std), seed=seed, options=options or BatchOptions(), home="cpu")
        self._images = images.to("cpu") if isinstance(images, ImageSet) else images
        self._threads = self.options.threads or usual_threads()
        self._stored = _stored_shape(self._images, self._finisher)
        self._labels, self._indices = images.labels.to(self._device), images.indices.to(self._device)
        self._uploader = Uploader(self._device)

    @property
    def images(self) -> ImageSet | StreamedSet:
        """What the batches are made of; an image set is on the CPU."""
        return self._images

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of what the batches hold."""
        return self._finisher.shape(self._stored)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        start, order, key = self._begun()
        placed, draws = order.to(self._device), Draws(key, self._indices)
        with closing(self._decoded(order, Draws(key, self._images.indices), start)) as decoded:
            for step, buffer in enumerate(decoded, start):
                positions = self._steps.positions(placed, step)
                yield self._inputs(buffer, draws.at(positions)), self._labels[positions]

    def _inputs(self, buffer: Tensor, draws: Draws) -> Tensor:
        images = self._uploader.upload(buffer)
        if self._images.size is not None:
            images = self._finisher.sized(images, draws)
        return self._finisher.finished(images, draws)

    def _decoded(self, order: Tensor, draws: Draws, start: int) -> Generator[Tensor, None, None]:
        """The uint8 batches, in order."""
        buffers: deque[tuple[Tensor, int]] = deque()
        per_batch = -(-self._steps.batch_size // _CHUNK)

        def jobs() -> Iterator[Callable[[], None]]:
            for step in range(start, len(self)):
                positions = self._steps.positions(order, step)
                buffer = self._uploader.buffer((len(positions), *self._stored))
                parts = list(zip(buffer.split(_CHUNK), positions.split(_CHUNK), strict=True))
                buffers.append((buffer, len(parts)))
                for part, chosen in parts:
                    yield partial(self._fill, part, chosen, draws.at(chosen))

        done = 0
        with closing(prefetched(jobs(), threads=self._threads, ahead=_AHEAD * per_batch)) as parts:
            for _ in parts:
                done += 1
                if done == buffers[0][1]:
                    yield buffers.popleft()[0]
                    done = 0

    def _fill(self, buffer: Tensor, positions: Tensor, draws: Draws) -> None:
        if isinstance(self._images, ImageSet):
            torch.index_select(self._images.images, 0, positions, out=buffer)
            return
        images = list(self._images.read(positions.tolist()))
        if self._images.size is None:
            images = self._finisher.each_sized(images, draws)
        torch.stack(images, out=buffer)


def _stored_shape(images: ImageSet | StreamedSet, finisher: Finisher) -> tuple[int, int, int]:
    """Of an image as it is copied to the device: images that differ are brought to one size before."""
    side = finisher.side()
    if images.size is not None:
        finisher.check(images.size)
        return images.channels, *images.size
    if side is None:
        raise DataError(
            "Batches",
            wanted="images of one size",
            got="images that differ in size",
            cure="Set data.resize, or batches.resized_crop.",
        )
    finisher.check((side, side))
    return images.channels, side, side
