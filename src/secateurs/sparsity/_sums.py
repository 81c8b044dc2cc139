"""Sums over lists of places, in one gather for each length of list: the same order of additions every time."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["Sums"]

IntArray = npt.NDArray[np.int64]


class Sums:
    """The product of a sparse matrix of ones with a vector; index_add_ would add in any order on a GPU.

    Args:
        rows, columns: of the ones, int arrays [n]; a place that is listed twice counts twice.
        size: number of rows.
    """

    def __init__(self, rows: IntArray, columns: IntArray, size: int) -> None:
        columns = columns[np.argsort(rows, kind="stable")]
        counts = np.bincount(rows, minlength=size)
        starts = np.cumsum(counts) - counts
        self._indices: list[Tensor] = []
        order = []
        for count in np.unique(counts[counts > 0]).tolist():
            own = np.flatnonzero(counts == count)
            self._indices.append(torch.from_numpy(columns[starts[own][:, None] + np.arange(count)]))
            order.append(own)
        order.append(np.flatnonzero(counts == 0))
        self._empty = len(order[-1])
        places = np.concatenate(order)
        back = np.empty_like(places)
        back[places] = np.arange(size)
        # Most often all rows are alike, and in order as they are.
        self._back = None if (back == np.arange(size)).all() else torch.from_numpy(back)

    def __call__(self, values: Tensor) -> Tensor:
        """Sums [size] of values [columns]."""
        self._move(values.device)
        parts = [values[index[:, 0]] if index.shape[1] == 1 else values[index].sum(1) for index in self._indices]
        if self._empty:
            parts.append(values.new_zeros(self._empty))
        found = parts[0] if len(parts) == 1 else torch.cat(parts)
        return found if self._back is None else found[self._back]

    def _move(self, device: torch.device) -> None:
        if any(index.device != device for index in self._indices):
            self._indices = [index.to(device) for index in self._indices]
            self._back = None if self._back is None else self._back.to(device)
