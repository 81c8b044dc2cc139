"""Images that are decoded each time they are needed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from secateurs._errors import DataError
from secateurs.data._decode import pixels
from secateurs.data._split import Split

__all__ = ["StreamedSet"]


@dataclass(frozen=True, kw_only=True)
class StreamedSet:
    """Labelled images that stay encoded where they are stored; what does not fit into memory is held so.

    Attributes:
        split: opens the images.
        labels: int64 [N], positions in `classes`.
        indices: int64 [N], the row of each image in the split of the source that it came from.
        classes: names of the classes.
        channels: 1 or 3, that every image is brought to.
        size: height and width of all images; None where they differ.
        resize: side that every image is brought to while it is decoded.
    """

    split: Split
    labels: Tensor
    indices: Tensor
    classes: tuple[str, ...]
    channels: Literal[1, 3]
    size: tuple[int, int] | None
    resize: int | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, positions: Sequence[int]) -> Iterator[Tensor]:
        """uint8 [C, H, W] of each image; may be called by several threads at once.

        Raises:
            DataError: an image that cannot be decoded, or is not of `size`; it is named.
        """
        rows = self.indices[torch.tensor(positions)].tolist()
        for where, picture in self.split.pictures(rows):
            image = pixels(picture, where, resize=self.resize, channels=self.channels)
            if self.size is not None and image.shape[1:] != self.size:
                raise DataError(
                    where,
                    wanted=f"{self.size[1]} x {self.size[0]} pixels, as other images",
                    got=f"{image.shape[2]} x {image.shape[1]}",
                    cure=f"Set data.resize={min(self.size)}, for example, to bring all images to one size.",
                )
            yield torch.tensor(image)
