"""What holds for every budget on every network."""

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from secateurs._errors import BudgetError
from secateurs.graph import Graph, Plan
from secateurs.selection import select
from tests.selection._toys import (
    KEYS,
    best_removed,
    graph_of,
    graphs,
    met,
    mlp,
    next_smaller_cut,
    scores_of,
    slow_global,
    units_of,
)

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
ratios = st.floats(0.02, 0.95).map(lambda ratio: round(ratio, 3))
budgets = st.dictionaries(st.sampled_from(KEYS), ratios, min_size=1, max_size=2)
seeds = st.integers(0, 2**32)
scopes = st.sampled_from(["global", "layerwise"])
floors = st.integers(1, 4) | st.sampled_from([0.1, 0.25, 0.5])
multiples = st.sampled_from([1, 2, 3, 4])


def _planned(graph: Graph, *args: Any, **options: Any) -> Plan:
    """The plan; networks for which the budget is out of reach are no example."""
    try:
        return select(graph, *args, **options)
    except BudgetError:
        assume(False)
        raise


@quick
@given(graph=graphs(), seed=seeds, remove=budgets, floor=st.integers(1, 3), distinct=st.sampled_from([1, 3, 1000]))
def test_global_selection_is_its_definition(
    graph: Graph, seed: int, remove: dict[str, float], floor: int, distinct: int
) -> None:
    scores = scores_of(graph, seed, distinct=distinct)
    wanted = slow_global(graph, scores, remove, floor)
    if wanted is None:
        with pytest.raises(BudgetError):
            select(graph, scores, remove, floor=floor)
    else:
        assert units_of(select(graph, scores, remove, floor=floor)) == wanted


@quick
@given(graph=graphs(), seed=seeds, remove=budgets, scope=scopes, floor=floors)
def test_the_budget_is_met_and_no_unit_can_come_back(
    graph: Graph, seed: int, remove: dict[str, float], scope: Any, floor: float
) -> None:
    removed = units_of(_planned(graph, scores_of(graph, seed), remove, scope=scope, floor=floor))
    assert met(graph, removed, remove)
    assert not any(met(graph, removed - {pair}, remove) for pair in removed)


@quick
@given(graph=graphs(), seed=seeds, remove=budgets, scope=scopes, floor=floors, multiple_of=multiples)
def test_the_budget_is_met_and_no_block_can_come_back(
    graph: Graph, seed: int, remove: dict[str, float], scope: Any, floor: float, multiple_of: int
) -> None:
    scores = scores_of(graph, seed)
    plan = _planned(graph, scores, remove, scope=scope, floor=floor, multiple_of=multiple_of)
    removed = units_of(plan)
    assert met(graph, removed, remove)
    for number, axis in enumerate(graph.axes):
        gone = best_removed(graph, scores, removed, number)
        if gone:
            kept = axis.size - len(gone)
            block = next_smaller_cut(axis.size, kept, floor, multiple_of) - kept
            assert not met(graph, removed - set(gone[:block]), remove)


@quick
@given(graph=graphs(), seed=seeds, remove=budgets, scope=scopes, floor=floors, multiple_of=multiples)
def test_floor_and_multiple_hold_and_the_lowest_of_an_axis_go(
    graph: Graph, seed: int, remove: dict[str, float], scope: Any, floor: float, multiple_of: int
) -> None:
    scores = scores_of(graph, seed)
    plan = _planned(graph, scores, remove, scope=scope, floor=floor, multiple_of=multiple_of)
    assert plan.removed
    for name, units in plan.removed.items():
        size = graph[name].size
        kept = sorted(set(range(size)) - set(units))
        assert len(kept) % multiple_of == 0
        assert len(kept) >= (floor * size if floor < 1 else floor)
        assert scores[name][list(units)].max() <= scores[name][kept].min()


@quick
@given(graph=graphs(), seed=seeds, remove=budgets, scope=scopes, multiple_of=multiples)
def test_equal_arguments_give_equal_plans(
    graph: Graph, seed: int, remove: dict[str, float], scope: Any, multiple_of: int
) -> None:
    scores = scores_of(graph, seed, distinct=3)
    first = _planned(graph, scores, remove, scope=scope, multiple_of=multiple_of)
    shuffled = dict(reversed(scores.items()))
    assert select(graph, shuffled, remove, scope=scope, multiple_of=multiple_of) == first


@quick
@given(graph=graphs(), seed=seeds, ratio=ratios)
def test_layerwise_shares_are_equal_up_to_one_unit(graph: Graph, seed: int, ratio: float) -> None:
    plan = _planned(graph, scores_of(graph, seed), {"units": ratio}, scope="layerwise")
    sizes = {axis.name: axis.size for axis in graph.axes if axis.kind != "branch"}
    gone = {name: len(plan.removed.get(name, ())) for name in sizes}
    below = [(gone[name] - 0.5) / size for name, size in sizes.items() if gone[name]]
    above = [(gone[name] + 0.5) / size for name, size in sizes.items() if gone[name] < size - 1]
    assert max(below, default=0) <= min(above, default=1) + 1e-9


@quick
@given(width=st.integers(8, 16), depth=st.integers(2, 4), seed=seeds, ratio=st.floats(0.1, 0.7))
def test_layerwise_shares_are_nearly_equal_under_a_budget_of_macs(
    width: int, depth: int, seed: int, ratio: float
) -> None:
    graph = mlp([width] * (depth + 2))
    plan = _planned(graph, scores_of(graph, seed), {"macs": ratio}, scope="layerwise")
    gone = [len(plan.removed.get(name, ())) for name in plan.sizes]
    assert max(gone) - min(gone) <= 2


@quick
@given(graph=graphs(), seed=seeds, remove=budgets, scope=scopes, floor=floors, multiple_of=multiples)
def test_what_is_said_to_be_reachable_is(
    graph: Graph, seed: int, remove: dict[str, float], scope: Any, floor: float, multiple_of: int
) -> None:
    key = next(iter(remove))
    scores, options = scores_of(graph, seed), {"scope": scope, "floor": floor, "multiple_of": multiple_of}
    with pytest.raises(BudgetError, match=f"at most [0-9.]+ of {key}") as caught:
        select(graph, scores, {key: 0.9999}, **options)
    most = float(str(caught.value).split("at most ")[1].split()[0])
    if most > 0:
        assert met(graph, units_of(select(graph, scores, {key: most}, **options)), {key: most})
    with pytest.raises(BudgetError):
        select(graph, scores, {key: round(most + 0.0001, 4)}, **options)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("scope", ["global", "layerwise"])
def test_a_real_network_is_halved_to_within_one_unit(key: str, scope: Any) -> None:
    graph = graph_of("resnet20/0.5")
    plan = select(graph, scores_of(graph, 0), {key: 0.5}, scope=scope)
    removed = units_of(plan)
    assert met(graph, removed, {key: 0.5})
    assert not any(met(graph, removed - {pair}, {key: 0.5}) for pair in removed)
    if key != "units":
        assert 0 <= 0.5 - getattr(plan.cost, key) / getattr(plan.before, key) < 0.01


def test_many_units_need_few_counts() -> None:
    with torch.device("meta"):
        graph = graph_of("resnet50/1.0")
    calls, count = 0, graph.counts.count

    def counted(removed: Any) -> dict[str, int]:
        nonlocal calls
        calls += 1
        return count(removed)

    graph.counts.count = counted  # type: ignore[method-assign]
    try:
        select(graph, scores_of(graph, 0), {"macs": 0.5, "params": 0.3})
    finally:
        graph.counts.count = count  # type: ignore[method-assign]
    assert calls < 200
