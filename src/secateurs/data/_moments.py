"""Mean and spread of pixels."""

import torch
from torch import Tensor

__all__ = ["moments"]

# Bytes taken to float64 at once: enough to keep the processor busy, little beside the images.
_CHUNK_BYTES = 2**24
# A channel that never changes has no spread; one grey level keeps the division finite.
_LEAST_STD = 1 / 255


def moments(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of uint8 [N, C, H, W], for pixels scaled to 0..1.

    Exact: sums of integers below 2^53, so neither order nor chunks matter.
    """
    channels = images.shape[1]
    total = torch.zeros(channels, dtype=torch.float64, device=images.device)
    squares = torch.zeros_like(total)
    rows = max(1, _CHUNK_BYTES // images[0].numel())
    for chunk in images.split(rows):
        values = chunk.double()
        total += values.sum((0, 2, 3))
        squares += values.square().sum((0, 2, 3))
    count = images.numel() // channels
    mean = total / count
    variance = (squares / count - mean.square()).clamp(min=0)
    std = (variance.sqrt() / 255).clamp(min=_LEAST_STD)
    return tuple((mean / 255).tolist()), tuple(std.tolist())
