"""What this rank's part of a batch counts for, among all ranks."""

from typing import Protocol

import torch
from torch import Tensor

from secateurs import _distributed
from secateurs._errors import TrainingError
from secateurs._sharding import Shard, counted, weight
from secateurs.training._batches import BatchSource

__all__ = ["Shares"]


class _Sharded(Protocol):
    """A batch source that gives one rank its part of every step."""

    @property
    def shard(self) -> Shard: ...

    def global_size(self, step: int) -> int: ...


class Shares:
    """Weights and counts of the steps of `batches`.

    A source without `shard` gives every rank the same whole batches: then nothing is weighted and nothing added up.
    One with `shard`, which is (rank, world), also has `global_size(step)`, the images of a step over all ranks.

    Raises:
        TrainingError: parts for another rank or another number of ranks than there are.
    """

    def __init__(self, batches: BatchSource) -> None:
        self._shard: Shard = getattr(batches, "shard", (0, 1))
        self._source: _Sharded | None = batches if self.divided else None  # type: ignore[assignment]
        here = (_distributed.rank(), _distributed.world())
        if self.divided and self._shard != here:
            raise TrainingError(
                "batches",
                wanted=f"the part of rank {here[0]} of {here[1]}",
                got=f"that of rank {self._shard[0]} of {self._shard[1]}",
                cure="Give BatchOptions.shard the rank and the number of ranks that there are.",
            )

    @property
    def divided(self) -> bool:
        """Whether this rank sees only a part of each batch."""
        return self._shard[1] > 1

    def weighted(self, loss: Tensor, step: int) -> Tensor:
        """A rank's mean loss, such that the mean of the ranks' gradients is that over the whole batch."""
        if self._source is None:
            return loss
        return loss * weight(self._source.global_size(step), self._shard)

    def counted(self, step: int, images: int) -> int:
        """How many of the rank's `images` in this step it adds to sums over all ranks: all of them, or none."""
        if self._source is None:
            return images
        return counted(self._source.global_size(step), self._shard)

    def total(self, sums: list[float]) -> list[float]:
        """Sums over what each rank counted, over all ranks."""
        if not self.divided:
            return sums
        values = torch.tensor(sums, dtype=torch.float64)
        _distributed.all_reduce([values])
        return values.tolist()
