"""A source of images before anything is decoded."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from secateurs.data._decode import Header

__all__ = ["Groups", "Reader", "Source", "Split"]


@dataclass(frozen=True, kw_only=True)
class Groups:
    """A column of super-classes: positions in `names`, int64 [rows]."""

    column: str
    labels: Tensor
    names: tuple[str, ...]


def _no_groups() -> Groups | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Split:
    """Labels of all rows, and a way to open the images of some of them.

    Attributes:
        where: names the split in errors.
        labels: int64 [rows].
        classes: names of the classes.
        pictures: for row numbers, yields (where the image is, PIL image) in that order; several threads may do so.
        headers: the same, but only what the images' first bytes say.
        groups: reads the super-classes of the rows; None where there are none.
    """

    where: str
    labels: Tensor
    classes: tuple[str, ...]
    pictures: Callable[[Sequence[int]], Iterator[tuple[str, Any]]]
    headers: Callable[[Sequence[int]], Iterator[Header]]
    groups: Callable[[], Groups | None] = _no_groups


Reader = Callable[[tuple[str, ...] | None], Split]
"""Reads a split; takes the classes of the training split, or None while that itself is read."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data set as it is stored.

    Attributes:
        name: of the data set.
        where: names it in errors.
        readers: by split name.
    """

    name: str
    where: str
    readers: Mapping[str, Reader]
