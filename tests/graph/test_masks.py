"""Masks against plain sets of positions, and what a wrong plan meets."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secateurs import VerifyError
from secateurs.graph._masks import MaskAlgebra, is_gone, mask_of

Sizes = st.lists(st.integers(1, 4), min_size=1, max_size=3)


@given(st.data(), Sizes)
def test_splitting_undoes_merging(data: st.DataObject, sizes: list[int]) -> None:
    """Unless a whole dim is gone, and with it every position, which no plan does."""
    parts = [np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), dtype=bool) for n in sizes]
    for part in parts:
        part[0] = False
    algebra = MaskAlgebra({})
    whole = algebra.merge([mask_of(part) for part in parts], sizes)
    assert whole is not None
    expected = [any(part[i] for part, i in zip(parts, place, strict=True)) for place in product(*map(range, sizes))]
    assert is_gone(whole).tolist() == expected
    again = algebra.split(whole, sizes, "viewed")
    assert [is_gone(mask).tolist() for mask in again if mask is not None] == [part.tolist() for part in parts]


def test_positions_between_slices_are_refused() -> None:
    with pytest.raises(
        VerifyError, match=r"the masked model, viewed: wanted whole slices removed, got 1 positions of 6"
    ):
        MaskAlgebra({}).split(mask_of(np.arange(6) == 4), (2, 3), "viewed")


def test_sides_that_lost_other_positions_are_refused() -> None:
    first, second = mask_of(np.arange(4) == 1), mask_of(np.arange(4) == 2)
    MaskAlgebra({}).unify(first, first.copy(), "added")
    with pytest.raises(VerifyError, match="the masked model, added: wanted the same positions removed on both sides"):
        MaskAlgebra({}).unify(first, second, "added")
    with pytest.raises(VerifyError, match="wanted positions that stay, got 1 removed"):
        MaskAlgebra({}).unify(first, None, "added")


def test_new_dims_take_the_masks_of_the_trace_at_their_line_in_order() -> None:
    def here(n: int) -> list[bool]:
        return [bool(gone) for gone in is_gone(algebra.fresh(n))]

    def there(n: int) -> list[bool]:
        return [bool(gone) for gone in is_gone(algebra.fresh(n))]

    line = here.__code__.co_firstlineno + 1
    made = {f"{__file__}:{line}": [mask_of(np.arange(3) == 0), mask_of(np.arange(2) == 1)]}
    algebra = MaskAlgebra(made)
    assert there(3) == [False, False, False]
    assert here(3) == [True, False, False]
    assert here(5) == [False] * 5
    assert here(1) == [False]
