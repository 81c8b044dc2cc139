"""Which images a step of an epoch takes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from secateurs._sharding import Shard, part
from secateurs.data._hash import keyed_order

__all__ = ["Steps"]

_SHUFFLE = 1


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The order of an epoch and its division into batches; the same however images are held.

    Attributes:
        indices: int64 [N], the index of each image.
        batch_size: images in a batch.
        seed: of the order.
        shuffle: another order in each epoch.
        drop_last: leave out a last batch that is not full.
        epoch_images: images that an epoch has, the first of its order; None for all.
        shard: (rank, world): which part of every batch this rank takes.
    """

    indices: Tensor
    batch_size: int
    seed: int
    shuffle: bool
    drop_last: bool
    epoch_images: int | None = None
    shard: Shard = (0, 1)

    def __len__(self) -> int:
        full, rest = divmod(self.images, self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    @property
    def images(self) -> int:
        """Images that an epoch has."""
        return len(self.indices) if self.epoch_images is None else min(self.epoch_images, len(self.indices))

    def order(self, epoch: int) -> Tensor:
        """Positions of the images of `epoch` in their order, int64 [images]."""
        if self.shuffle:
            return keyed_order((self.seed, epoch, _SHUFFLE), self.indices)[: self.images]
        return torch.arange(self.images, device=self.indices.device)

    def positions(self, order: Tensor, step: int) -> Tensor:
        """Positions of the images of one step; under several ranks, of this rank's part of them."""
        return order[step * self.batch_size : (step + 1) * self.batch_size][part(self.global_size(step), self.shard)]

    def global_size(self, step: int) -> int:
        """Images of one step over all ranks."""
        return min(self.batch_size, self.images - step * self.batch_size)
