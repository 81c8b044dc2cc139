"""Images for training and judging: loaded once, divided by a seed, batched on the device."""

from secateurs.data._augment import Augment, Blur, ColourJitter, ResizedCrop
from secateurs.data._batch_options import BatchOptions
from secateurs.data._batches import Batches
from secateurs.data._cifar100 import SUBSETS
from secateurs.data._division import SPLIT_FILE, Division
from secateurs.data._image_set import ImageSet, Splits
from secateurs.data._load import load
from secateurs.data._make import make_batches
from secateurs.data._options import DataOptions
from secateurs.data._streamed import StreamedBatches
from secateurs.data._streamed_set import StreamedSet
from secateurs.data._subset import Subset
from secateurs.data._views import AugmentedView, ViewOptions, hard_augment

__all__ = [
    "SPLIT_FILE",
    "SUBSETS",
    "Augment",
    "AugmentedView",
    "BatchOptions",
    "Batches",
    "Blur",
    "ColourJitter",
    "DataOptions",
    "Division",
    "ImageSet",
    "ResizedCrop",
    "Splits",
    "StreamedBatches",
    "StreamedSet",
    "Subset",
    "ViewOptions",
    "hard_augment",
    "load",
    "make_batches",
]
