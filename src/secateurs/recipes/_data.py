"""A recipe's images as batches."""

import torch

from secateurs import _distributed
from secateurs.data import Batches, BatchOptions, ImageSet, Splits, StreamedBatches, StreamedSet, make_batches
from secateurs.recipes._batches import BatchesSection

__all__ = ["epoch_images", "evaluation_batches", "training_batches"]


def epoch_images(section: BatchesSection, splits: Splits) -> int:
    """Training images in an epoch.

    Raises:
        DataError: no such classes.
    """
    asked, there = section.epoch_images, len(splits.train)
    if asked is None:
        return there
    return min(there, asked if isinstance(asked, int) else len(splits.only(asked).train))


def training_batches(
    section: BatchesSection, splits: Splits, device: torch.device, *, seed: int, channels_last: bool
) -> Batches | StreamedBatches:
    """Shuffled and augmented by `seed`; under several ranks, this one's part of each batch."""
    return make_batches(
        splits.train,
        batch_size=section.size,
        mean=splits.mean,
        std=splits.std,
        seed=seed,
        options=BatchOptions(
            device=str(device),
            shuffle=True,
            epoch_images=epoch_images(section, splits),
            augment=section.augment(),
            channels_last=channels_last,
            shard=(_distributed.rank(), _distributed.world()),
        ),
    )


def evaluation_batches(
    section: BatchesSection,
    splits: Splits,
    images: ImageSet | StreamedSet,
    device: torch.device,
    *,
    whole: bool = False,
) -> Batches | StreamedBatches:
    """In order, as they are; where training crops them to a size, their centre in that size.

    Under several ranks, this one's part of each batch unless `whole`.
    """
    shard = (0, 1) if whole else (_distributed.rank(), _distributed.world())
    return make_batches(
        images,
        batch_size=section.size,
        mean=splits.mean,
        std=splits.std,
        options=BatchOptions(device=str(device), fit=section.fit(), shard=shard),
    )
