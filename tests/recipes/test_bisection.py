"""The search for the largest level that succeeds, with curves made up for it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secateurs.recipes._bisection import Found, most_probes, search_levels

LEVELS = tuple(range(5, 100, 5))
levels = st.lists(st.integers(1, 1000), min_size=1, max_size=40, unique=True).map(sorted)


def swept(probed: list[float], curve: dict[int, float], target: float) -> float | None:
    """The answer of an exhaustive sweep, from its definition."""
    return max((level for level in probed if curve[int(level)] >= target), default=None)


@given(levels=levels, accuracies=st.lists(st.floats(0, 1), min_size=40, max_size=40), target=st.floats(0, 1))
def test_on_monotone_curves_bisection_finds_what_a_sweep_finds(
    levels: list[int], accuracies: list[float], target: float
) -> None:
    curve = dict(zip(levels, sorted(accuracies, reverse=True), strict=False))
    found = search_levels(levels, lambda level: curve[int(level)] >= target)
    assert found.level == swept(list(levels), curve, target)
    assert found.level == search_levels(levels, lambda level: curve[int(level)] >= target, "all").level
    assert len(found.probes) <= most_probes(len(levels), "largest")


@given(levels=levels, good=st.lists(st.booleans(), min_size=40, max_size=40))
def test_on_any_curve_it_finds_a_place_where_success_ends(levels: list[int], good: list[bool]) -> None:
    curve = dict(zip(levels, good, strict=False))
    found = search_levels(levels, lambda level: curve[int(level)])
    tried = dict(found.probes)
    assert len(tried) == len(found.probes) <= most_probes(len(levels), "largest")
    assert all(curve[int(level)] == success for level, success in found.probes)
    above = {low: high for low, high in pairwise([*levels, None]) if low is not None}
    if found.level is None:
        assert tried[levels[0]] is False
    else:
        assert tried[found.level] is True
        larger = above[int(found.level)]
        assert larger is None or tried[larger] is False


@given(levels=levels, good=st.lists(st.booleans(), min_size=40, max_size=40))
def test_a_sweep_finds_the_largest_of_any_curve(levels: list[int], good: list[bool]) -> None:
    curve = dict(zip(levels, good, strict=False))
    found = search_levels(levels, lambda level: curve[int(level)], "all")
    assert [level for level, _ in found.probes] == levels
    assert found.level == max((level for level in levels if curve[level]), default=None)


@given(levels=levels, good=st.lists(st.booleans(), min_size=40, max_size=40))
def test_the_cheapest_search_is_the_beginning_of_the_other(levels: list[int], good: list[bool]) -> None:
    curve = dict(zip(levels, good, strict=False))
    whole = search_levels(levels, lambda level: curve[int(level)])
    short = search_levels(levels, lambda level: curve[int(level)], "first")
    assert short.probes == whole.probes[: len(short.probes)]
    if short.level is None:
        assert whole.level is None
    else:
        assert [good for _, good in short.probes] == [False] * (len(short.probes) - 1) + [True]
        assert whole.level is not None
        assert whole.level >= short.level


@pytest.mark.parametrize(
    ("largest", "probed"),
    [
        # The published search goes 50, 75, 85, 90, 95 where everything succeeds, and so does this one.
        (95, [50, 75, 85, 90, 95]),
        (50, [50, 75, 60, 55]),
        (0, [50, 25, 10, 5]),
        # The published one rounds up and never looks at 5.
        (5, [50, 25, 10, 5]),
    ],
)
def test_the_levels_of_the_published_search(largest: int, probed: list[int]) -> None:
    found = search_levels(LEVELS, lambda level: level <= largest)
    assert [level for level, _ in found.probes] == probed
    assert found.level == (largest or None)


def test_a_dip_hides_what_lies_behind_it() -> None:
    curve = {25: True, 50: False, 75: True}
    assert search_levels(tuple(curve), lambda level: curve[int(level)]).level == 25
    assert search_levels(tuple(curve), lambda level: curve[int(level)], "all").level == 75


def test_nothing_to_look_at_finds_nothing() -> None:
    assert search_levels((), lambda level: True) == Found(level=None, probes=())
