"""Caps beside floors, and kept counts that are multiples: against all counts there are."""

import math
from fractions import Fraction
from itertools import pairwise, product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from secateurs._errors import BudgetError, PlanError
from secateurs.graph import trace
from secateurs.selection import reachable, select
from secateurs.selection._candidates import Limits, candidates
from secateurs.selection._steps import half_way_scores
from tests.selection._toys import figures, graph_of, mlp, scores_of
from tests.zoo import ZOO

quick = settings(max_examples=30, deadline=None)
caps = st.sampled_from([0.1, 0.25, 0.3, 0.5, 0.7, 0.99])
floors = st.integers(1, 4) | st.sampled_from([0.1, 0.5])
multiples = st.sampled_from([1, 2, 3, 4])


def _allowed(size: int, kept: int, floor: float, cap: float, multiple_of: int) -> bool:
    least = math.ceil(Fraction(repr(floor)) * size) if floor < 1 else int(floor)
    return kept == size or (
        kept >= max(1, least) and Fraction(size - kept, size) <= Fraction(repr(cap)) and kept % multiple_of == 0
    )


@quick
@given(size=st.integers(1, 40), floor=floors, cap=caps, multiple_of=multiples)
def test_the_counts_that_may_go_are_those_that_every_rule_allows(
    size: int, floor: float, cap: float, multiple_of: int
) -> None:
    found = Limits(floor=floor, cap=cap, multiple_of=multiple_of).levels(size)
    assert found.tolist() == [gone for gone in range(size) if _allowed(size, size - gone, floor, cap, multiple_of)]


@quick
@given(
    widths=st.sampled_from(["2-3-2", "3-5-4-2", "2-6-3-4-3", "4-2-7-2", "1-5-5-5-1"]),
    seed=st.integers(0, 1000),
    ratio=st.floats(0.05, 0.9).map(lambda ratio: round(ratio, 2)),
    cap=caps,
    multiple_of=multiples,
    scope=st.sampled_from(["global", "layerwise"]),
    per=st.sampled_from([None, "macs"]),
)
def test_a_budget_is_met_within_caps_exactly_where_any_choice_of_counts_does(
    widths: str, seed: int, ratio: float, cap: float, multiple_of: int, scope: Any, per: Any
) -> None:
    graph, sizes = graph_of(widths), [int(width) for width in widths.split("-")]
    dense = figures(graph, set())["macs"]
    choices = [
        [kept for kept in range(1, axis.size + 1) if _allowed(axis.size, kept, 1, cap, multiple_of)]
        for axis in graph.axes
    ]
    ends = [(sizes[0], *kept, sizes[-1]) for kept in product(*choices)]
    every = [sum(a * b for a, b in pairwise(kept)) for kept in ends]
    scores, options = scores_of(graph, seed), {"cap": cap, "multiple_of": multiple_of, "scope": scope}
    if scope == "global":
        options["per"] = per
    if dense - min(every) < Fraction(repr(ratio)) * dense:
        with pytest.raises(BudgetError, match=f"cap={cap}, multiple_of={multiple_of}"):
            select(graph, scores, {"macs": ratio}, **options)
        return
    plan = select(graph, scores, {"macs": ratio}, **options)
    assert plan.cost.macs in every
    assert dense - plan.cost.macs >= Fraction(repr(ratio)) * dense
    for axis in graph.axes:
        assert _allowed(axis.size, axis.size - len(plan.removed.get(axis.name, ())), 1, cap, multiple_of)


def test_a_cap_holds_for_every_scope_and_by_name() -> None:
    graph = mlp([2, 10, 10, 2])
    scores = {"0": torch.zeros(10), "1": torch.ones(10)}
    plan = select(graph, scores, {"units": 0.5}, cap=0.65)
    assert {name: len(units) for name, units in plan.removed.items()} == {"0": 6, "1": 4}
    plan = select(graph, scores, {"units": 0.5}, cap={"0": 0.3})
    assert {name: len(units) for name, units in plan.removed.items()} == {"0": 3, "1": 7}
    with pytest.raises(BudgetError, match=r"scope of axis '0': wanted 4 of 10 units removed, got at most 3"):
        select(graph, scores, scope={"*": 0.4}, cap={"0": 0.3})


def test_axes_cut_by_equal_shares_keep_to_the_tightest_cap() -> None:
    entry = ZOO["coupled_heads_tensor"]
    graph = trace(entry.build(), entry.arguments(2), entry.keywords(2))
    coupling = graph.couplings[0]
    name = next(iter(coupling.shares))
    capped, free = (reachable(graph, cap=cap) for cap in ({name: 0.5}, None))
    assert capped["units"].most < free["units"].most
    plan = select(graph, scores_of(graph, 0), {"units": capped["units"].ratio}, cap={name: 0.5})
    for axis in coupling.shares:
        assert 0 < len(plan.removed[axis]) <= graph[axis].size // 2


@pytest.mark.parametrize("cap", [0, 1, 1.5, -0.1, True, "half", float("nan")])
def test_a_cap_that_makes_no_sense_is_refused(cap: Any) -> None:
    graph = mlp([2, 3, 2])
    for given_ in (cap, {"0": cap}):
        with pytest.raises(PlanError, match="cap: wanted a ratio between 0 and 1"):
            select(graph, scores_of(graph, 0), {"units": 0.3}, cap=given_)
    with pytest.raises(PlanError, match=r"cap\['nowhere'\]: wanted an axis or a pattern"):
        select(graph, scores_of(graph, 0), {"units": 0.3}, cap={"nowhere": 0.5})


@quick
@given(
    size=st.sampled_from([2, 3, 10, 17, 24, 60]),
    ratio=st.integers(1, 99).map(lambda percent: percent / 100),
    multiple_of=st.sampled_from([2, 3, 8]),
)
def test_a_ratio_of_an_axis_is_rounded_to_the_nearest_multiple(size: int, ratio: float, multiple_of: int) -> None:
    graph = graph_of(f"2-{size}-2")
    plan = select(graph, scores_of(graph, 0), scope={"0": ratio}, multiple_of=multiple_of)
    kept = size - len(plan.removed.get("0", ()))
    wanted = size * (1 - Fraction(repr(ratio)))
    allowed = [count for count in range(1, size + 1) if count == size or count % multiple_of == 0]
    nearest = min(abs(count - wanted) for count in allowed)
    assert kept == max(count for count in allowed if abs(count - wanted) == nearest)


@quick
@given(size=st.sampled_from([2, 3, 10, 17, 24, 60]), seed=st.integers(0, 1000), multiple_of=st.integers(1, 9))
def test_under_any_threshold_the_kept_count_is_the_nearest_multiple(size: int, seed: int, multiple_of: int) -> None:
    graph = graph_of(f"2-{size}-2")
    scores = scores_of(graph, seed)
    found = candidates(graph, scores, graph.axes, {"0": Limits(multiple_of=multiple_of)})
    keys, values = half_way_scores(found[0]), scores["0"].numpy()
    allowed = [kept for kept in range(1, size + 1) if kept == size or kept % multiple_of == 0]
    for threshold in values:
        kept = size - int(found[0].levels[int((keys <= threshold).sum())])
        stays = int((values > threshold).sum())
        nearest = min(abs(count - stays) for count in allowed)
        assert kept == max(count for count in allowed if abs(count - stays) == nearest)
