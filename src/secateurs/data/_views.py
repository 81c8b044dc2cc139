"""Several augmented versions of each of some images: what a criterion looks at in the place of plain batches."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from secateurs._errors import DataError
from secateurs._sharding import Shard
from secateurs.data._augment import Augment, ColourJitter, ResizedCrop
from secateurs.data._batch_options import BatchOptions, device_of
from secateurs.data._batches import Batches
from secateurs.data._image_set import ImageSet
from secateurs.data._make import make_batches
from secateurs.data._memory import fits
from secateurs.data._partition import draw
from secateurs.data._streamed import StreamedBatches
from secateurs.data._streamed_set import StreamedSet

__all__ = ["AugmentedView", "ViewOptions", "hard_augment"]

# Nothing else draws by (seed, this, ...), so that no image is chosen because of what is done to it.
_CHOICE = 3


def hard_augment(size: int) -> Augment:
    """More than training does to images: random resized crop, mirroring, strong jitter always, loss of colour."""
    jitter = ColourJitter(brightness=0.9, contrast=0.9, saturation=0.9, hue=0.1)
    return Augment(resized_crop=ResizedCrop(size=size), flip=0.5, colour=jitter, grayscale=0.1)


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """Which images are looked at, and in how many versions.

    Attributes:
        images: how many; all where there are fewer.
        augmentations: versions of each image.
        batch_size: images in a batch, which holds `augmentations` times as many.
        augment: what is done to each version; None for `hard_augment` of the size that the network is fed.
        seed: of the choice and of the augmentation.
        level: another list of images for each level; 0 for the same list wherever it is left at 0.
    """

    images: int = 1000
    augmentations: int = 10
    batch_size: int = 500
    augment: Augment | None = None
    seed: int = 0
    level: int = 0

    def __post_init__(self) -> None:
        for name in ("images", "augmentations", "batch_size"):
            if getattr(self, name) < 1:
                got, cure = str(getattr(self, name)), f"Change {name}."
                raise DataError(f"view.{name}", wanted="1 or more", got=got, cure=cure)

    def __call__(self, batches: Iterable[Any]) -> "AugmentedView":
        """The view of the images behind some batches, normalised and held as these are.

        Args:
            batches: of this package, since others do not hold their images without augmentation.

        Raises:
            DataError: other batches.
        """
        if not isinstance(batches, Batches | StreamedBatches):
            cure = "Give secateurs.data.Batches, or an AugmentedView; or leave out what augments."
            raise DataError("batches", wanted="batches of secateurs.data", got=type(batches).__name__, cure=cure)
        return AugmentedView(batches.images, batches.normalisation, self, options=batches.options)


class AugmentedView:
    """Batches of `augmentations` versions of each image, for as many loops as wanted.

    Each batch is (float32 x [n * augmentations, C, H, W], normalised; int64 y [n * augmentations]) on the device, the
    versions of one image beside each other. Version j of an image is what epoch j of training with this augmentation
    and seed would make of it: it depends on (seed, j, image index) alone, whatever the batch size.

    Args:
        images: what to choose from; held uint8, or streamed.
        normalisation: mean and standard deviation per channel, of pixels scaled to 0..1.
        view: see `ViewOptions`.
        indices: int64, the images to look at by their index in the data set, in this order, in the place of a draw.
        options: device, memory format, threads, `fit` and this rank's `shard`; the rest of it plays no part.

    Attributes:
        indices: int64 [images], on the CPU: the data set's index of each image, in the order of the batches.
        augmentations: versions of each image.

    Raises:
        DataError: an index that is not among the images, or images that are not square and no `augment`.
    """

    def __init__(
        self,
        images: ImageSet | StreamedSet,
        normalisation: tuple[Sequence[float], Sequence[float]],
        view: ViewOptions | None = None,
        *,
        indices: Tensor | None = None,
        options: BatchOptions | None = None,
    ) -> None:
        view, options = view or ViewOptions(), options or BatchOptions()
        chosen = _chosen(images, _drawn(images, view) if indices is None else indices.cpu())
        augment = view.augment or hard_augment(_side(images, options))
        options = replace(options, augment=augment, shuffle=False, drop_last=False)
        chosen = _near(chosen, device_of(options.device))
        mean, std = normalisation
        self.indices, self.augmentations = chosen.indices.cpu(), view.augmentations
        self._versions = [
            make_batches(chosen, batch_size=view.batch_size, mean=mean, std=std, seed=view.seed, options=options)
            for _ in range(view.augmentations)
        ]
        for version, batches in enumerate(self._versions):
            batches.set_epoch(version)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of what the batches hold."""
        return self._versions[0].shape

    @property
    def shard(self) -> Shard:
        """Which part of every batch this is: (rank, world)."""
        return self._versions[0].shard

    def global_size(self, step: int) -> int:
        """Images (not versions) of one step over all ranks."""
        return self._versions[0].global_size(step)

    def __len__(self) -> int:
        return len(self._versions[0])

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for parts in zip(*self._versions, strict=True):
            x = torch.stack([inputs for inputs, _ in parts], dim=1).flatten(0, 1)
            # `stack` gives up the memory format of its parts.
            layout = torch.channels_last if parts[0][0].is_contiguous(memory_format=torch.channels_last) else None
            x = x if layout is None else x.contiguous(memory_format=layout)
            yield x, parts[0][1].repeat_interleave(self.augmentations)


def _drawn(images: ImageSet | StreamedSet, view: ViewOptions) -> Tensor:
    indices = images.indices.cpu()
    return draw(indices, min(view.images, len(indices)), (view.seed, view.level, _CHOICE))


def _chosen(images: ImageSet | StreamedSet, indices: Tensor) -> ImageSet | StreamedSet:
    """The images of these indices, in this order."""
    rows = {index: row for row, index in enumerate(images.indices.tolist())}
    missing = [index for index in indices.tolist() if index not in rows]
    if missing or not len(indices):
        got = f"{len(missing)} others, as {missing[0]}" if missing else "none"
        cure = "Take them from images.indices."
        raise DataError("AugmentedView.indices", wanted="indices of the images", got=got, cure=cure)
    positions = torch.tensor([rows[index] for index in indices.tolist()], device=images.labels.device)
    labels, own = images.labels[positions], images.indices[positions]
    if isinstance(images, StreamedSet):
        return replace(images, labels=labels, indices=own)
    return replace(images, images=images.images[positions], labels=labels, indices=own)


def _near(images: ImageSet | StreamedSet, device: torch.device) -> ImageSet | StreamedSet:
    """Images that are held and fit are copied to the device once, and not for each version."""
    held = isinstance(images, ImageSet) and fits(images.images.numel(), device)
    return images.to(device) if held and isinstance(images, ImageSet) else images


def _side(images: ImageSet | StreamedSet, options: BatchOptions) -> int:
    """The size that a network is fed."""
    if options.augment.resized_crop is not None:
        return options.augment.resized_crop.size
    if options.fit is not None:
        return options.fit
    if images.size is None or images.size[0] != images.size[1]:
        got = "images that differ" if images.size is None else f"{images.size[1]} x {images.size[0]} pixels"
        cure = "Give an `augment` whose resized_crop says the size."
        raise DataError("AugmentedView", wanted="square images, or an augmentation for others", got=got, cure=cure)
    return images.size[0]
