"""Integers of a model that address units: they go with the units they stand for, and count those that stay."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from secateurs.graph._labels import Algebra, IntArray, Label
from secateurs.graph._record import Info, Record

__all__ = ["Integers", "countable", "settle_indices"]

COUNTING = (torch.int64, torch.int32)
"""Types of tensors that torch takes for indices."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Integers:
    """A list of integers that a model holds.

    Attributes:
        values: int array [n], what it holds; the tensors of a trace have no values.
        label: [n, k], of the dim that it lies along.
    """

    values: IntArray
    label: Label


def countable(tensors: Mapping[str, Tensor], weights: Mapping[str, Info]) -> dict[str, Integers]:
    """The lists of integers, by path, that may turn out to be indices."""
    found = {}
    for path, tensor in tensors.items():
        if tensor.dtype not in COUNTING or tensor.is_meta:
            continue
        labels = [label for label in weights[path].labels if label is not None]
        if len(labels) == 1:
            found[path] = Integers(values=tensor.detach().cpu().reshape(-1).long().numpy(), label=labels[0])
    return found


def settle_indices(algebra: Algebra, record: Record, weights: dict[str, Info], tensors: Mapping[str, Tensor]) -> None:
    """After a trace: indices used in several ways agree, or stay; other integers have labels only where they are cut.

    An index whose values count two dims has these dims cut together; one whose values the code reads in any other
    way must not be renumbered.
    """
    for path, counted in record.counted.items():
        why = record.otherwise.get(path, "")
        if any(len(label) != len(counted[0]) for label in counted):
            why = why or "an index into a dim of another size"
        for label in (*weights[path].labels, *counted) if why else ():
            algebra.fix(label, f"indexed by {path}, which is also {why}")
        for label in counted[1:] if not why else ():
            algebra.unify(counted[0], label, f"both are indexed by {path}")
    for path, tensor in tensors.items():
        if path in weights and not tensor.is_floating_point():
            info = weights[path]
            labels = (None if label is None or not algebra.free(label).any() else label for label in info.labels)
            weights[path] = info._replace(labels=tuple(labels))
