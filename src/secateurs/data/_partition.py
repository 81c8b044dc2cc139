"""Dividing rows into parts, fixed by a seed and by nothing else."""

from collections.abc import Sequence

import torch
from torch import Tensor

from secateurs.data._hash import keyed_order

__all__ = ["draw", "stratified", "without"]


def stratified(labels: Tensor, ratio: float, key: Sequence[int]) -> Tensor:
    """Positions of about ratio * N labels, sorted: each class in proportion, and one or more left of each."""
    shuffled = keyed_order(key, torch.arange(len(labels)))
    order = shuffled[torch.argsort(labels[shuffled], stable=True)]
    counts = torch.bincount(labels)
    quota = _quota(counts, ratio)
    group = labels[order]
    rank = torch.arange(len(labels)) - (counts.cumsum(0) - counts)[group]
    return order[rank < quota[group]].sort().values


def draw(rows: Tensor, count: int, key: Sequence[int]) -> Tensor:
    """`count` of `rows`, drawn by `key`, sorted."""
    return rows[keyed_order(key, rows)[:count]].sort().values


def without(count: int, taken: Tensor) -> Tensor:
    """The positions 0 .. count - 1 that are not in `taken`."""
    left = torch.ones(count, dtype=torch.bool)
    left[taken] = False
    return left.nonzero().flatten()


def _quota(counts: Tensor, ratio: float) -> Tensor:
    """Largest remainders: whole shares first, then one each where most was cut off."""
    exact = counts.double() * ratio
    whole = exact.floor().long()
    missing = round(int(counts.sum()) * ratio) - int(whole.sum())
    by_remainder = torch.argsort(exact - whole, descending=True, stable=True)
    whole[by_remainder[:missing]] += 1
    return torch.minimum(whole, (counts - 1).clamp(min=0))
