"""Images as one tensor, with their labels."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from secateurs._errors import DataError
from secateurs.data._classes import Asked, Vocabulary
from secateurs.data._division import Division
from secateurs.data._streamed_set import StreamedSet
from secateurs.data._subset import Subset

__all__ = ["ImageSet", "Splits"]


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """Labelled images, all of one size, on one device.

    Attributes:
        images: uint8 [N, C, H, W].
        labels: int64 [N], positions in `classes`.
        indices: int64 [N], the row of each image in the split of the source that it came from.
        classes: names of the classes.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.dim() != 4:
            raise DataError(
                "ImageSet.images",
                wanted="uint8 [N, C, H, W]",
                got=f"{self.images.dtype} {list(self.images.shape)}",
                cure="Give images of 0 to 255 with a channel dim.",
            )
        for name, tensor in (("labels", self.labels), ("indices", self.indices)):
            if tensor.dtype != torch.int64 or tensor.shape != self.images.shape[:1]:
                raise DataError(
                    f"ImageSet.{name}",
                    wanted=f"int64 [{len(self.images)}], one for each image",
                    got=f"{tensor.dtype} {list(tensor.shape)}",
                    cure=f"Give one of {name} for each image.",
                )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def channels(self) -> int:
        """1 or 3."""
        return self.images.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of all images."""
        return self.images.shape[2], self.images.shape[3]

    def to(self, device: torch.device | str) -> "ImageSet":
        """The same set on `device`."""
        return ImageSet(
            images=self.images.to(device),
            labels=self.labels.to(device),
            indices=self.indices.to(device),
            classes=self.classes,
        )


@dataclass(frozen=True, kw_only=True)
class Splits:
    """What training, choosing and judging are done on; no image is in two of them.

    Attributes:
        train: what weights are trained on.
        validation: set aside from the training split of the source, never from its test split; may be empty.
        test: for the final judgement only.
        mean: per channel, of pixels scaled to 0..1; of `train` unless given.
        std: the same, the standard deviation.
        name: of the source.
        subset: the classes that images are of; None for all.
        numbered: the classes that labels count, by their numbers; None for all.
        vocabulary: what classes may be called; None where that is not known.
        division: what every row of the source is for, of whatever class; None where that is not known.
    """

    train: ImageSet | StreamedSet
    validation: ImageSet | StreamedSet
    test: ImageSet | StreamedSet
    mean: tuple[float, ...]
    std: tuple[float, ...]
    name: str
    subset: Subset | None = None
    numbered: tuple[int, ...] | None = None
    vocabulary: Vocabulary | None = None
    division: Division | None = None

    @property
    def all_classes(self) -> tuple[str, ...]:
        """The names of all classes of the source, whether there are images of them or not."""
        return self.train.classes if self.subset is None else self.subset.classes

    @property
    def among(self) -> tuple[int, ...] | None:
        """The labels that there are; None where all that are counted are there."""
        if self.subset is None:
            return None
        counted = range(len(self.all_classes)) if self.numbered is None else self.numbered
        return None if len(counted) == len(self.subset.ids) else tuple(counted.index(i) for i in self.subset.ids)

    def renumbered(self) -> "Splits":
        """With labels that count the classes of the subset alone, as a network with a head for these needs them."""
        subset = self.subset
        if subset is None or self.numbered is not None:
            return self

        def counted(images: ImageSet | StreamedSet) -> ImageSet | StreamedSet:
            return replace(images, labels=subset.renumbered(images.labels), classes=subset.names)

        train, validation, test = map(counted, (self.train, self.validation, self.test))
        return replace(self, train=train, validation=validation, test=test, numbered=subset.ids)

    def only(self, asked: Asked) -> "Splits":
        """With images of some classes only; labels stay as they are.

        Raises:
            DataError: names that mean nothing, or classes of which there are no images here.
        """
        if self.vocabulary is None:
            cure = "Load the data by secateurs.data.load."
            raise DataError("data.classes", wanted="data whose classes have names", got=self.name, cure=cure)
        subset = self.vocabulary.subset(asked)
        if self.subset is not None and not subset.within(self.subset.ids):
            cure = "Load more classes, or ask for fewer."
            raise DataError("data.classes", wanted=f"classes among {self.subset.name}", got=subset.name, cure=cure)
        found = replace(self, subset=subset)
        if found.among is None:
            return found
        labels = torch.tensor(found.among)
        train, validation, test = (_with(part, labels) for part in (self.train, self.validation, self.test))
        return replace(found, train=train, validation=validation, test=test)


def _with(images: ImageSet | StreamedSet, labels: Tensor) -> ImageSet | StreamedSet:
    """The images with one of these labels."""
    places = torch.isin(images.labels, labels.to(images.labels.device)).nonzero().flatten()
    labels, indices = images.labels[places], images.indices[places]
    if isinstance(images, ImageSet):
        return replace(images, images=images.images.index_select(0, places), labels=labels, indices=indices)
    return replace(images, labels=labels, indices=indices)
