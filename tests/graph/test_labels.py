"""The label algebra against the slow oracle: always right, and exact on the families that networks are made of."""

import copy
import random
from collections.abc import Callable
from itertools import combinations
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secateurs.graph._labels import NO_UNITS, Algebra, IntArray, stack_columns
from tests.graph.families import COARSE, EXACT, TRICKY
from tests.graph.reference import Dim, Twin

MOST = 12
"""Positions of the largest dim of a random program."""

# ---------------------------------------------------------------------- random programs


def _views(n: int) -> list[tuple[int, ...]]:
    two = [(a, n // a) for a in range(1, n + 1) if n % a == 0]
    return two + [(a, c, b // c) for a, b in two for c in range(1, b + 1) if b % c == 0]


def _grow(data: st.DataObject, twin: Twin, kind: str) -> None:
    """One more operation of a random program."""
    dim: Dim = data.draw(st.sampled_from(twin.made))
    n = len(dim)
    match kind:
        case "fresh":
            twin.fresh(data.draw(st.integers(1, 8)))
        case "constant":
            twin.constant(n)
        case "unify":
            twin.unify(dim, data.draw(st.sampled_from([other for other in twin.made if len(other) == n])))
        case "fix":
            twin.fix(dim)
        case "split":
            twin.split(dim, *data.draw(st.sampled_from(_views(n))))
        case "merge" | "stack":
            others = data.draw(st.lists(st.sampled_from(twin.made), min_size=1, max_size=2))
            size = (prod if kind == "merge" else sum)(len(part) for part in (dim, *others))
            if size <= MOST:
                (twin.merge if kind == "merge" else twin.stack)(dim, *others)
        case "slice":
            start = data.draw(st.integers(0, n - 1))
            twin.take(dim, range(start, data.draw(st.integers(start + 1, n)), data.draw(st.integers(1, 2))))
        case "permute":
            twin.take(dim, data.draw(st.permutations(range(n))))
        case "gather":
            twin.take(dim, data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=8)))


PLAIN = ("fresh", "unify", "unify", "stack", "slice", "permute", "gather", "constant", "fix")
ALL = (*PLAIN, "unify", "split", "split", "split", "merge", "merge")


def _program(data: st.DataObject, kinds: tuple[str, ...], after: Callable[[Twin], None] | None = None) -> Twin:
    twin = Twin()
    twin.fresh(data.draw(st.integers(1, 8)))
    for kind in data.draw(st.lists(st.sampled_from(kinds), max_size=10)):
        _grow(data, twin, kind)
        if after is not None:
            after(twin)
    return twin


def _choices(roots: list[int], seed: int) -> list[tuple[int, ...]]:
    """Every subset of a few roots; of many: each one, all, and some at random."""
    if len(roots) <= 5:
        return [chosen for n in range(len(roots) + 1) for chosen in combinations(roots, n)]
    coin = random.Random(seed)
    some = [tuple(root for root in roots if coin.random() < share) for share in (0.2, 0.4, 0.6, 0.8)]
    return [*((root,) for root in roots), tuple(roots), *some]


@settings(max_examples=400, deadline=None)
@given(data=st.data(), seed=st.integers(0, 1000))
def test_whatever_is_removed_every_declared_fact_holds(data: st.DataObject, seed: int) -> None:
    twin = _program(data, ALL)
    for chosen in _choices(twin.roots(), seed):
        twin.check(chosen)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_many_labels_at_once_are_what_they_are_alone(data: st.DataObject) -> None:
    twin = _program(data, ALL)
    labels = [dim.label for dim in twin.made if dim.label is not None]
    alone = [copy.deepcopy(twin.algebra).free(label) for label in labels]
    twin.algebra.settle(labels)
    for label, expected in zip(labels, alone, strict=True):
        free = twin.algebra.free(label)
        assert free is twin.algebra.free(label)
        assert [sorted(set(row) - {0}) for row in free.tolist()] == [
            sorted(set(row) - {0}) for row in expected.tolist()
        ]
    equal = [(a, b) for a, b in combinations(labels, 2) if np.array_equal(twin.algebra.free(a), twin.algebra.free(b))]
    assert all(twin.algebra.free(a) is twin.algebra.free(b) or not len(a) for a, b in equal)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None)
@given(data=st.data(), seed=st.integers(0, 1000))
def test_every_declared_fact_holds_in_many_more_programs(data: st.DataObject, seed: int) -> None:
    twin = _program(data, ALL)
    for chosen in _choices(twin.roots(), seed):
        twin.check(chosen)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_programs_without_products_are_exact(data: st.DataObject) -> None:
    twin = _program(data, PLAIN)
    if len(twin.base) <= 14:
        assert twin.reachable(twin.base) == twin.facts.feasible(twin.base), str(twin)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 8), data=st.data())
def test_one_view_of_a_plain_label_is_exact(n: int, data: st.DataObject) -> None:
    twin = Twin()
    dim = twin.fresh(n)
    twin.split(dim, *data.draw(st.sampled_from(_views(n))))
    assert _partial(twin, twin.reachable(twin.base)) == _partial(twin, twin.facts.feasible(twin.base))


# ---------------------------------------------------------------------- exact families


def _partial(twin: Twin, subsets: set[frozenset[int]]) -> set[frozenset[int]]:
    """The subsets that leave something of every dim that was made fresh; no plan may remove all of an axis."""
    fresh = [set(dim.rows) for dim in twin.made if set(dim.rows) <= set(twin.base) and dim.label is not None]
    return {subset for subset in subsets if not any(rows <= subset for rows in fresh)}


@pytest.mark.parametrize("family", EXACT, ids=lambda family: family.__name__)
def test_exactly_the_feasible_cuts_can_be_chosen(family: Callable[[Twin], None]) -> None:
    twin = Twin()
    family(twin)
    feasible = _partial(twin, twin.facts.feasible(twin.base))
    assert len(feasible) > 1, "a family without choice proves nothing"
    assert _partial(twin, twin.reachable(twin.base)) == feasible


@pytest.mark.parametrize("family", COARSE, ids=lambda family: family.__name__)
def test_some_feasible_cuts_are_known_to_be_given_up(family: Callable[[Twin], None]) -> None:
    """A family that becomes exact belongs into the other table."""
    twin = Twin()
    family(twin)
    assert _partial(twin, twin.reachable(twin.base)) < _partial(twin, twin.facts.feasible(twin.base))


# ---------------------------------------------------------------------- what once was wrong


@pytest.mark.parametrize("family", [*TRICKY, *EXACT, *COARSE], ids=lambda family: family.__name__)
def test_every_fact_holds_for_every_choice(family: Callable[[Twin], None]) -> None:
    twin = Twin()
    family(twin)
    roots = twin.roots()[:8]
    for chosen in (chosen for n in range(len(roots) + 1) for chosen in combinations(roots, n)):
        twin.check(chosen)


def test_products_whose_columns_all_pair_up_keep_their_choice() -> None:
    twin = Twin()
    first, second = (twin.merge(twin.fresh(2), twin.fresh(3)) for _ in range(2))
    twin.unify(first, second)
    assert len(twin.roots()) == 5


def test_dims_without_positions_go_through_every_operation() -> None:
    algebra = Algebra()
    none = algebra.fresh(0)
    algebra.unify(none, algebra.fresh(0), "why")
    algebra.fix(none, "why")
    assert algebra.split(none, (0, 3), "why") == [None, None]
    merged = algebra.merge([none, algebra.fresh(2)], (0, 2))
    assert merged is not None
    assert len(merged) == 0
    assert algebra.version == 0


# ---------------------------------------------------------------------- reading

_ATOM = tuple[frozenset[int], tuple[str, ...]]


def _state(algebra: Algebra, atoms: int) -> list[_ATOM]:
    """What every atom stands for, and why that is fixed; atoms yet to come stand for themselves."""
    state: list[_ATOM] = []
    for atom in range(1, len(algebra)):
        roots = algebra.resolve(np.array([[atom]]))[0].tolist()
        state.append((frozenset(roots), tuple(algebra.reason(root) for root in roots)))
    return state + [(frozenset({atom}), ("",)) for atom in range(len(algebra), atoms)]


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_the_version_rises_exactly_when_something_changes(data: st.DataObject) -> None:
    before, version = Algebra(), 0

    def compare(twin: Twin) -> None:
        nonlocal before, version
        now, atoms = twin.algebra, len(twin.algebra)
        assert (now.version > version) == (_state(before, atoms) != _state(now, atoms)), str(twin)
        assert now.version >= version
        before, version = copy.deepcopy(now), now.version

    _program(data, ALL, compare)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_resolving_twice_is_resolving_once(data: st.DataObject) -> None:
    twin = _program(data, ALL)
    for dim in twin.made:
        if dim.label is not None:
            once = twin.algebra.resolve(dim.label)
            np.testing.assert_array_equal(twin.algebra.resolve(once), once)
            np.testing.assert_array_equal(twin.algebra.free(once), twin.algebra.free(dim.label))


def _naive(n: int, pairs: list[tuple[int, int]]) -> dict[int, int]:
    parent = {i: i for i in range(n)}

    def top(i: int) -> int:
        return i if parent[i] == i else top(parent[i])

    for a, b in pairs:
        parent[top(a)] = top(b)
    return {i: top(i) for i in range(n)}


@settings(max_examples=100, deadline=None)
@given(data=st.data(), n=st.integers(1, 40))
def test_find_agrees_with_a_dictionary(data: st.DataObject, n: int) -> None:
    place = st.integers(0, n - 1)
    rounds = data.draw(st.lists(st.lists(st.tuples(place, place), min_size=1, max_size=12), max_size=5))
    algebra = Algebra()
    label = algebra.fresh(n)
    for pairs in rounds:
        first, second = (label[[pair[side] for pair in pairs]] for side in (0, 1))
        algebra.unify(first, second, "why")
    roots = algebra.find(label[:, 0])
    naive = _naive(n, [pair for pairs in rounds for pair in pairs])
    expected = [[naive[i] == naive[j] for j in range(n)] for i in range(n)]
    np.testing.assert_array_equal(roots[:, None] == roots[None, :], expected)
    np.testing.assert_array_equal(algebra.find(roots), roots)


# ---------------------------------------------------------------------- reasons and errors


def _reasons(algebra: Algebra, label: IntArray) -> list[str]:
    return [algebra.reason(int(row.max())) for row in algebra.resolve(label)]


def test_the_first_reason_stays() -> None:
    algebra = Algebra()
    label = algebra.fresh(3)
    algebra.fix(label[:1], "first")
    algebra.fix(label, "second")
    version = algebra.version
    algebra.fix(label, "third")
    assert _reasons(algebra, label) == ["first", "second", "second"]
    assert algebra.version == version
    assert algebra.reason(0) == NO_UNITS


@pytest.mark.parametrize("fixed_first", [True, False])
def test_a_reason_reaches_everything_that_is_unified(fixed_first: bool) -> None:
    algebra = Algebra()
    a, b, c = (algebra.fresh(4) for _ in range(3))
    if fixed_first:
        algebra.fix(b[1:3], "an output")
    algebra.unify(a, b, "a sum")
    algebra.unify(c, a, "a sum")
    if not fixed_first:
        algebra.fix(b[1:3], "an output")
    for label in (a, b, c):
        assert _reasons(algebra, label) == ["", "an output", "an output", ""]


def test_reasons_reach_the_factors_of_a_product() -> None:
    algebra = Algebra()
    wide = algebra.fresh(6)
    algebra.fix(wide[:3], "an output")
    algebra.fix(wide[3:], "an input")
    heads, inner = algebra.split(wide, (2, 3), "a view")
    assert heads is not None
    assert inner is not None
    assert _reasons(algebra, heads) == ["an output", "an input"]
    assert set(_reasons(algebra, inner)) <= {"an output", "an input"}


def test_fixed_rows_beside_products_keep_their_reason() -> None:
    algebra = Algebra()
    fixed = algebra.fresh(2)
    algebra.fix(fixed, "an output")
    product = algebra.merge([algebra.fresh(2), fixed], (2, 2))
    label = stack_columns([algebra.merge([fixed, fixed], (2, 2)), product], (4, 4))
    assert label is not None
    assert _reasons(algebra, label) == ["an output"] * 4 + [""] * 4


def test_unifying_with_no_label_fixes() -> None:
    algebra = Algebra()
    label = algebra.fresh(2)
    algebra.unify(None, label, "a sum with a constant")
    assert _reasons(algebra, label) == ["a sum with a constant"] * 2
    algebra.unify(None, None, "nothing")
    algebra.fix(None, "nothing")
    assert algebra.version == 1


def test_sizes_that_do_not_fit_are_refused() -> None:
    algebra = Algebra()
    four, one = algebra.fresh(4), algebra.fresh(1)
    with pytest.raises(ValueError, match="labels of 4 and 1 positions"):
        algebra.unify(four, one, "why")
    with pytest.raises(ValueError, match=r"4 positions cannot be viewed as \(2, 3\)"):
        algebra.split(four, (2, 3), "why")
    with pytest.raises(ValueError, match="4 positions cannot belong to a dim of 3"):
        algebra.merge([four, None], (3, 1))
    with pytest.raises(ValueError, match="1 positions cannot belong to a dim of 3"):
        stack_columns([four, one], (4, 3))
    with pytest.raises(ValueError, match="shorter"):
        stack_columns([four, one], (4,))
    assert algebra.version == 0


# ---------------------------------------------------------------------- many positions


def test_a_hundred_thousand_positions() -> None:
    """Anything that walks them one by one, or along a chain, would take minutes."""
    n, heads = 100_000, 100
    algebra = Algebra()
    chain, wide, fixed = (algebra.fresh(n) for _ in range(3))
    algebra.unify(chain[:-1], chain[1:], "why")
    assert len(np.unique(algebra.resolve(chain))) == 1
    group, inner = algebra.split(wide, (heads, n // heads), "why")
    shuffled = algebra.merge([inner, group], (n // heads, heads))
    algebra.unify(shuffled, algebra.fresh(n), "why")
    assert len(np.unique(algebra.free(wide))) == heads + n // heads
    algebra.fix(fixed, "why")
    parts = algebra.split(fixed, (heads, n // heads), "why")
    assert all(part is not None and not algebra.free(part).any() for part in parts)
    repeated = np.repeat(algebra.fresh(n // 4), 4, axis=0)
    algebra.unify(repeated, fresh := algebra.fresh(n), "why")
    assert len(np.unique(algebra.free(fresh))) == n // 4
