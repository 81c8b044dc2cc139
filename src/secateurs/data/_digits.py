"""Real handwritten digits that come with scikit-learn (Alpaydin and Kaynak, 1998)."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from secateurs.data._decode import Header
from secateurs.data._libraries import library
from secateurs.data._split import Split

__all__ = ["digits"]

_LEVELS = 16


def digits() -> Split:
    """1,797 grey images of 8x8 pixels; their 0..16 are brought to 0..255."""
    data = library("sklearn.datasets").load_digits()
    images = np.rint(data.images * (255 / _LEVELS)).astype(np.uint8)
    return Split(
        where="digits",
        labels=torch.from_numpy(data.target.astype(np.int64)),
        classes=tuple(str(name) for name in data.target_names),
        pictures=partial(_pictures, images),
        headers=partial(_headers, images.shape[1:]),
    )


def _pictures(images: npt.NDArray[np.uint8], rows: Sequence[int]) -> Iterator[tuple[str, Any]]:
    from_array = library("PIL.Image").fromarray
    for row in rows:
        yield f"digits row {row}", from_array(images[row])


def _headers(shape: tuple[int, int], rows: Sequence[int]) -> Iterator[Header]:
    return (Header(width=shape[1], height=shape[0], grey=True) for _ in rows)
