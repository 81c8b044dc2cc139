"""Mean and spread of pixels."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from secateurs.data._hash import keyed_order
from secateurs.data._prefetch import prefetched, usual_threads
from secateurs.data._streamed_set import StreamedSet

__all__ = ["moments", "streamed_moments"]

# Bytes taken to float64 at once: enough to keep the processor busy, little beside the images.
_CHUNK_BYTES = 2**24
# A channel that never changes has no spread; one grey level keeps the division finite.
_LEAST_STD = 1 / 255
# Images of a streamed set that are decoded for this: all of most sets, and minutes rather than hours of the largest.
_SAMPLE = 100_000
_CHUNK = 32

_Moments = tuple[tuple[float, ...], tuple[float, ...]]


def moments(images: Tensor) -> _Moments:
    """Mean and standard deviation per channel of uint8 [N, C, H, W], for pixels scaled to 0..1.

    Exact: sums of integers below 2^53, so neither order nor chunks matter.
    """
    rows = max(1, _CHUNK_BYTES // images[0].numel())
    sums = [_sums(chunk) for chunk in images.split(rows)]
    return _from_sums(sum(sums[1:], start=sums[0]), images.numel() // images.shape[1])


def streamed_moments(images: StreamedSet, key: Sequence[int]) -> _Moments:
    """The same of a set that is not held, number for number; of 100,000 drawn by `key` where there are more."""

    def read(chunk: Tensor) -> tuple[Tensor, int]:
        decoded = list(images.read(chunk.tolist()))
        sums = [_sums(image[None]) for image in decoded]
        return sum(sums[1:], start=sums[0]), sum(image[0].numel() for image in decoded)

    # In the order of rows, which is that of the file.
    chosen = keyed_order(key, images.indices)[:_SAMPLE].sort().values
    jobs = (partial(read, chunk) for chunk in chosen.split(_CHUNK))
    total, count = torch.zeros(2, images.channels, dtype=torch.float64), 0
    for sums, pixels in prefetched(jobs, threads=usual_threads(), ahead=2 * usual_threads()):
        total += sums
        count += pixels
    return _from_sums(total, count)


def _sums(images: Tensor) -> Tensor:
    """float64 [2, C]: of the values and of their squares."""
    values = images.double()
    return torch.stack([values.sum((0, 2, 3)), values.square().sum((0, 2, 3))])


def _from_sums(sums: Tensor, count: int) -> _Moments:
    mean, squares = sums / count
    variance = (squares - mean.square()).clamp(min=0)
    std = (variance.sqrt() / 255).clamp(min=_LEAST_STD)
    return tuple((mean / 255).tolist()), tuple(std.tolist())
