"""New tensors whose contents do not come from their argument."""

from typing import Any

import numpy as np

from secateurs.graph._call import Call
from secateurs.graph._labels import Label
from secateurs.graph._masks import MaskAlgebra
from secateurs.graph._record import SizeUse
from secateurs.graph.rules._registry import register
from secateurs.graph.sizes._provenance import TensorSize, user_frame

_UNSIZED = np.zeros((0, 1), dtype=np.int64)
"""Takes the place of a dim without units in the list of dims that came into being."""


@register("new_empty", "new_zeros", "new_ones", "new_full", "empty", "zeros", "ones", "full")
def uniform(call: Call) -> None:
    """Every position alike: a dim follows the size that the code asks for, or stays where that is a literal."""
    given = call.mode.scopes.get("sizes", ())
    shape = call.out.shape
    asked = given if len(given) == len(shape) else [None for _ in shape]
    call.assign([sized_label(call, int(size), one) for size, one in zip(shape, asked, strict=True)])
    if call.name.endswith("zeros"):
        call.out._secateurs_zeros = call.out._version


def sized_label(call: Call, size: int, asked: tuple[Any, str] | None) -> Label | None:
    """The label of a dim that comes in, of a size that the code asked for: as (expression, where), if it did.

    A trace notes every dim, so that a masked run, which may know more or fewer sizes, finds each in its place.
    """
    expression, where = asked or (None, "")
    known = expression.label if isinstance(expression, TensorSize) and len(expression.label) == size > 1 else None
    if isinstance(call.algebra, MaskAlgebra):
        mask = call.algebra.noted(size)
        return (mask if known is None else known) if size > 1 else None
    assert call.mode.record is not None
    if size == 1 or known is not None or asked is None:
        call.mode.record.made.setdefault(user_frame(), []).append(_UNSIZED)
        return known
    label = call.mode.fresh(size)
    if expression is None:
        call.algebra.fix(label, f"size {size} is written in the code at {where}")
    else:
        call.mode.record.sizes.append(SizeUse(expression=expression, label=label, where=where))
    return label


@register("arange", "linspace", "eye", "rand", "randn", "randint", "scalar_tensor", "empty_strided", "tril_indices")
@register("new_empty_strided", "randperm", "triu_indices", "logspace", "bartlett_window", "hann_window")
def create(call: Call) -> None:
    """No dim of the result has units: what it is combined with stays."""
    call.assign([None for _ in call.out.shape])
