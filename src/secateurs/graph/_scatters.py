"""What a plan says about branches: where zeros are put in, and which sizes the modules before them ask for."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from secateurs.graph._labels import Algebra, Label
from secateurs.graph._plan import Edit, Scatter
from secateurs.graph._record import Branch, SizeUse

__all__ = ["alone", "narrow_sizes", "scatters"]

BoolArray = npt.NDArray[np.bool_]


def alone(algebra: Algebra, branch: Branch, roots: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Booleans [n]: positions that the branch loses, and those among them that the stream keeps."""
    gone = algebra.removed_rows(branch.narrow, roots)
    return gone, gone & ~algebra.removed_rows(branch.wide, roots)


def scatters(algebra: Algebra, branches: Sequence[Branch], roots: BoolArray) -> tuple[Scatter, ...]:
    """One for every branch that loses what its stream keeps."""
    found = []
    for branch in branches:
        gone, own = alone(algebra, branch, roots)
        if own.any():
            stays = gone[~gone | own]
            kept = tuple(int(place) for place in np.flatnonzero(~stays))
            found.append(Scatter(path=branch.path, dim=branch.dim, size=len(stays), kept=kept))
    return tuple(found)


def narrow_sizes(uses: Sequence[SizeUse], kept: Callable[[Label], int]) -> list[Edit]:
    """Edits of the attributes that dims with units of their own are sized by."""
    found = []
    for use in uses:
        size, after = use.expression, kept(use.label)
        if after != size.value:
            found.append(Edit(path=size.path, name=size.name, index=size.index, before=size.value, after=after))
    return found
