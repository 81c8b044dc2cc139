"""Masks in the place of labels: which positions are gone, for one plan.

A masked run sends the same operators through the same rules as a trace, but what flows along is a plain mark per
position. That makes it a second opinion on the labels: two dims that a rule ties must have lost the same positions,
and a dim that is viewed as several must have lost whole slices, or the plan is wrong.
"""

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
import numpy.typing as npt

from secateurs._errors import VerifyError
from secateurs.graph._labels import Label, Reason
from secateurs.graph.sizes._provenance import user_frame

__all__ = ["MaskAlgebra", "is_gone", "mask_of"]


def mask_of(gone: npt.NDArray[np.bool_]) -> Label:
    """Marks [n, 1], 1 where a position is gone, from booleans [n]."""
    return gone.astype(np.int64)[:, None]


def is_gone(mask: Label) -> npt.NDArray[np.bool_]:
    """Booleans [n] from marks [n, k]."""
    gone: npt.NDArray[np.bool_] = np.asarray((mask > 0).any(1))
    return gone


class MaskAlgebra:
    """The operations of the label algebra, on masks.

    Args:
        made: masks of dims that operators brought in during the trace, by line of code, in order; a mask cannot be
            found by itself before it meets others. Code that looks at values may skip lines that the trace ran.
    """

    def __init__(self, made: Mapping[str, Sequence[Label]]) -> None:
        self._made = {place: iter(masks) for place, masks in made.items()}

    def noted(self, n: int) -> Label | None:
        """The mask of the next dim that an operator brings in; `None` where the trace found it without units."""
        mask = next(self._made.get(user_frame(), iter(())), None)
        return None if mask is None or len(mask) != n else mask

    def fresh(self, n: int) -> Label:
        """The mask of the next dim that an operator brings in."""
        mask = self.noted(n)
        # Another batch size than the traced one makes another size of a dim that nobody cuts.
        return np.zeros((n, 1), dtype=np.int64) if mask is None else mask

    def fix(self, label: Label | None, why: Reason) -> None:
        """The positions must all be there."""
        if label is not None and is_gone(label).any():
            raise _wrong(why, "positions that stay", f"{int(is_gone(label).sum())} removed")

    def unify(self, first: Label | None, second: Label | None, why: Reason) -> None:
        """The same positions must be gone."""
        if first is None or second is None:
            self.fix(first if second is None else second, why)
        elif not np.array_equal(is_gone(first), is_gone(second)):
            got = f"{int(is_gone(first).sum())} and {int(is_gone(second).sum())} that differ"
            raise _wrong(why, "the same positions removed on both sides", got)

    def unify_all(self, labels: Sequence[Label | None], other: Label | None, why: Reason) -> None:
        """`unify` of each label with another one."""
        for label in labels:
            self.unify(label, other, why)

    def split(self, label: Label | None, sizes: Sequence[int], why: Reason) -> list[Label | None]:
        """The positions gone must be whole slices of the grid; which ones, per dim."""
        if label is None:
            return [None for _ in sizes]
        gone = is_gone(label).reshape(tuple(sizes))
        others = [tuple(other for other in range(len(sizes)) if other != dim) for dim in range(len(sizes))]
        slices = [np.asarray(gone.all(axis=axes)) for axes in others]
        parts = [mask_of(part) for part in slices]
        whole = self.merge(parts, sizes)
        if whole is None or not np.array_equal(is_gone(whole), gone.reshape(-1)):
            raise _wrong(why, "whole slices removed", f"{int(gone.sum())} positions of {prod(sizes)} in between")
        return list(parts)

    def merge(self, labels: Sequence[Label | None], sizes: Sequence[int]) -> Label | None:
        """A flattened position is gone where any of its coordinates is."""
        if all(label is None for label in labels):
            return None
        gone = np.zeros(tuple(sizes), dtype=bool)
        for dim, label in enumerate(labels):
            if label is not None:
                shape = [1] * len(sizes)
                shape[dim] = sizes[dim]
                gone |= is_gone(label).reshape(shape)
        return mask_of(gone.reshape(-1))


def _wrong(why: Reason, wanted: str, got: str) -> VerifyError:
    cure = "Please report this model; the dense model is unchanged."
    text = why if isinstance(why, str) else why()
    return VerifyError(f"the masked model, {text}", wanted=wanted, got=got, cure=cure)
