"""Large tensors a cacheful at a time: on a CPU three times as fast as intermediate results of the whole."""

import math
from collections.abc import Iterator

from torch import Tensor

__all__ = ["blocks"]


def blocks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The tensors, all of one shape, split alike along their first dim; whole on accelerators."""
    first = tensors[0]
    size = math.prod(first.shape[1:]) if first.dim() else 1
    step = max(1, (_CACHED if first.device.type == "cpu" else _MOST) // max(1, size))
    return zip(*(tensor.split(step) if tensor.dim() else (tensor,) for tensor in tensors), strict=True)


_CACHED = 2**17
_MOST = 2**28
"""Numbers at a time."""
