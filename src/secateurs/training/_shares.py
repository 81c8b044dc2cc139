"""What this rank's part of a batch counts for, among all ranks."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from secateurs import _distributed
from secateurs._errors import TrainingError
from secateurs._sharding import Shard, counted, part, weight
from secateurs.training._batches import BatchSource
from secateurs.training._meter import Meter

__all__ = ["Shares", "check_steps", "on_every_rank"]


def check_steps(steps: int) -> None:
    """Refuse ranks that would wait for each other for ever.

    Raises:
        TrainingError: another number of steps on another rank.
    """
    counts = _distributed.gather(steps)
    if len(set(counts)) > 1:
        raise TrainingError(
            "batches",
            wanted="as many batches on every rank",
            got=", ".join(f"{count} on rank {rank}" for rank, count in enumerate(counts)),
            cure="Divide each batch among the ranks, not the set of images.",
        )


def on_every_rank(good: Tensor) -> Tensor:
    """A boolean scalar on the device: whether it is true on all ranks. Nothing is read by the host."""
    if _distributed.world() == 1:
        return good
    votes = good.to(torch.int32)
    _distributed.all_reduce([votes], "min")
    return votes.bool()


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

    def whole(self, step: int, images: int) -> tuple[int, slice]:
        """How many images the step has over all ranks, and which of them this rank's `images` are."""
        total = images if self._source is None else self._source.global_size(step)
        return total, part(total, self._shard)

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
        added: list[float] = values.tolist()
        return added

    def of_all(self, meter: Meter) -> Meter:
        """What the meters of all ranks hold together."""
        return meter.over_ranks() if self.divided else meter

    def resumed(self, state: Mapping[str, Any]) -> Meter:
        """A meter to go on with, from the state of one that `of_all` gave."""
        meter = Meter.resumed(state)
        return meter.of_rank_0() if self.divided else meter
