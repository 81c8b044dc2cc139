"""A recipe's images as batches."""

import torch

from secateurs.data import Batches, BatchOptions, ImageSet, Splits, StreamedBatches, StreamedSet, make_batches
from secateurs.recipes._batches import BatchesSection

__all__ = ["evaluation_batches", "training_batches"]


def training_batches(
    section: BatchesSection, splits: Splits, device: torch.device, *, seed: int, channels_last: bool
) -> Batches | StreamedBatches:
    """Shuffled and augmented by `seed`."""
    return make_batches(
        splits.train,
        batch_size=section.size,
        mean=splits.mean,
        std=splits.std,
        seed=seed,
        options=BatchOptions(device=str(device), shuffle=True, augment=section.augment(), channels_last=channels_last),
    )


def evaluation_batches(
    section: BatchesSection, splits: Splits, images: ImageSet | StreamedSet, device: torch.device
) -> Batches | StreamedBatches:
    """In order, as they are; where training crops them to a size, their centre in that size."""
    return make_batches(
        images,
        batch_size=section.size,
        mean=splits.mean,
        std=splits.std,
        options=BatchOptions(device=str(device), fit=section.fit()),
    )
