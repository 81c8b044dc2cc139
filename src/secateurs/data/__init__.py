"""Images for training and judging: loaded once, divided by a seed, batched on the device."""

from secateurs.data._augment import Augment, Blur, ColourJitter, ResizedCrop
from secateurs.data._batches import Batches, BatchOptions
from secateurs.data._image_set import ImageSet, Splits
from secateurs.data._load import load
from secateurs.data._make import make_batches
from secateurs.data._options import DataOptions
from secateurs.data._streamed import StreamedBatches
from secateurs.data._streamed_set import StreamedSet
from secateurs.data._views import AugmentedView, ViewOptions, hard_augment

__all__ = [
    "Augment",
    "AugmentedView",
    "BatchOptions",
    "Batches",
    "Blur",
    "ColourJitter",
    "DataOptions",
    "ImageSet",
    "ResizedCrop",
    "Splits",
    "StreamedBatches",
    "StreamedSet",
    "ViewOptions",
    "hard_augment",
    "load",
    "make_batches",
]
