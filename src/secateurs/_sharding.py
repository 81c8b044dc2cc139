"""How the images of one step are divided among ranks, and what each rank's part counts for."""

from secateurs._errors import ConfigError

__all__ = ["Shard", "check_shard", "counted", "part", "weight"]

Shard = tuple[int, int]
"""(rank, world): which part of how many."""


def part(total: int, shard: Shard) -> slice:
    """Which of a step's `total` images a rank gets: parts that follow each other, of sizes that differ by one at most.

    A step with fewer images than ranks is not divided: each rank gets all of them, because a network cannot be asked
    about no image at all. `weight` and `counted` make that right.
    """
    rank, world = shard
    if total < world:
        return slice(0, total)
    return slice(total * rank // world, total * (rank + 1) // world)


def weight(total: int, shard: Shard) -> float:
    """The factor for a rank's mean loss, so that the mean of the ranks' gradients is that of all `total` images."""
    world = shard[1]
    if total < world:
        return 1.0
    return _size(total, shard) * world / total


def counted(total: int, shard: Shard) -> int:
    """How many images a rank adds to sums over all ranks: each image is counted by one of them."""
    rank, world = shard
    if total < world:
        return total if rank == 0 else 0
    return _size(total, shard)


def _size(total: int, shard: Shard) -> int:
    return len(range(total)[part(total, shard)])


def check_shard(shard: Shard) -> None:
    """Refuse a part that there is not.

    Raises:
        ConfigError: not 0 <= rank < world.
    """
    rank, world = shard
    if not 0 <= rank < world:
        raise ConfigError(
            "shard", wanted="(rank, world) with 0 <= rank < world", got=repr(shard), cure="Count ranks from 0."
        )
