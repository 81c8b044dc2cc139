"""Parts of batches against the batches of one process."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from secateurs._errors import ConfigError
from secateurs._sharding import counted, part, weight
from secateurs.data import Augment, Batches, BatchOptions, ImageSet, StreamedBatches


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 400), st.integers(1, 9))
def test_parts_are_the_whole(total: int, world: int) -> None:
    shards = [(rank, world) for rank in range(world)]
    parts = [list(range(total))[part(total, shard)] for shard in shards]
    assert all(parts)
    assert sum(counted(total, shard) for shard in shards) == total
    assert sum(weight(total, shard) for shard in shards) == pytest.approx(world, rel=1e-14)
    if total >= world:
        assert [image for each in parts for image in each] == list(range(total))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 40), st.integers(1, 9))
def test_the_mean_of_weighted_means_is_the_mean(total: int, world: int) -> None:
    values = torch.linspace(-1, 3, total, dtype=torch.float64).square()
    shards = [(rank, world) for rank in range(world)]
    weighted = [values[part(total, shard)].mean() * weight(total, shard) for shard in shards]
    torch.testing.assert_close(torch.stack(weighted).mean(), values.mean(), rtol=1e-13, atol=0)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("world", [2, 3, 5])
@pytest.mark.parametrize("kind", [Batches, StreamedBatches])
def test_sharded_batches_give_what_whole_ones_give(
    kind: type[Batches | StreamedBatches], world: int, drop_last: bool
) -> None:
    images = _images(23)
    options: dict[str, Any] = {"shuffle": True, "augment": Augment(crop=1, flip=True), "drop_last": drop_last}
    whole = _batches(images, BatchOptions(**options))
    parts = [_batches(images, BatchOptions(**options, shard=(rank, world)), kind) for rank in range(world)]
    for source in (whole, *parts):
        source.set_epoch(3)
    assert {len(each) for each in parts} == {len(whole)}
    for step, (want, *found) in enumerate(zip(whole, *parts, strict=True)):
        assert {each.global_size(step) for each in parts} == {len(want[1])}
        if len(want[1]) < world:
            assert all(torch.equal(x, want[0]) for x, _ in found)
        else:
            assert torch.equal(torch.cat([x for x, _ in found]), want[0])
            assert torch.equal(torch.cat([y for _, y in found]), want[1])


@pytest.mark.parametrize("shard", [(2, 2), (-1, 2), (0, 0)])
def test_a_part_that_there_is_not_is_refused(shard: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="0 <= rank < world"):
        BatchOptions(shard=shard)


def _images(count: int) -> ImageSet:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (count, 1, 6, 6), generator=generator, dtype=torch.uint8)
    return ImageSet(images=pixels, labels=torch.arange(count) % 3, indices=torch.arange(count), classes=("a", "b", "c"))


def _batches(
    images: ImageSet, options: BatchOptions, kind: type[Batches | StreamedBatches] = Batches
) -> Batches | StreamedBatches:
    return kind(images, batch_size=5, mean=[0.5], std=[0.25], seed=7, options=options)
