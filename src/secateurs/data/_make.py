"""Batches of images, however they are held."""

from collections.abc import Sequence

from secateurs.data._batch_options import BatchOptions, device_of
from secateurs.data._batches import Batches
from secateurs.data._image_set import ImageSet
from secateurs.data._memory import fits
from secateurs.data._streamed import StreamedBatches
from secateurs.data._streamed_set import StreamedSet

__all__ = ["make_batches"]


def make_batches(
    images: ImageSet | StreamedSet,
    *,
    batch_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    seed: int = 0,
    options: BatchOptions | None = None,
) -> Batches | StreamedBatches:
    """Batches from the device's memory where the images are there or fit, else fetched ahead of the network.

    Both give the same batches for equal arguments.
    """
    if isinstance(images, ImageSet) and _on_device(images, options):
        return Batches(images, batch_size=batch_size, mean=mean, std=std, seed=seed, options=options)
    return StreamedBatches(images, batch_size=batch_size, mean=mean, std=std, seed=seed, options=options)


def _on_device(images: ImageSet, options: BatchOptions | None) -> bool:
    device = device_of((options or BatchOptions()).device)
    return images.images.device.type == device.type or fits(images.images.numel(), device)
