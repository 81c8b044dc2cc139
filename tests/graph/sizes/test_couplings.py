"""Axes that only follow one another: equal shares run and are proved, anything else is refused while planning."""

import re

import pytest
import torch

from secateurs import BudgetError, PlanError
from secateurs.criteria import Random
from secateurs.graph import Graph
from secateurs.selection import select
from tests.surgery._proof import assert_equal_masked, case, cut, steps_of
from tests.zoo import ZOO

COUPLED = [name for name in ZOO if name.startswith(("coupled_heads", "coupled_parts")) and case(name).graph.couplings]


def _graph(name: str = "coupled_heads_tensor") -> Graph:
    return case(name).graph


@pytest.mark.parametrize("name", COUPLED)
def test_every_number_of_steps_runs_and_equals_masked(name: str) -> None:
    found = case(name)
    for coupling in found.graph.couplings:
        for count in range(1, coupling.steps):
            plan = found.graph.plan(steps_of(found.graph, coupling, count))
            assert_equal_masked(found.model, cut(found.model, plan), plan, found.call())


@pytest.mark.parametrize("name", COUPLED)
def test_uneven_cuts_are_refused_and_say_what_goes_with_what_or_run(name: str) -> None:
    """Some run: half of 11 channels is 5, as half of 10."""
    found, refused = case(name), []
    for coupling in found.graph.couplings:
        for axis, share in coupling.shares.items():
            others = dict(steps_of(found.graph, coupling, 1))
            for removed in ({axis: range(share)}, {**others, axis: range(2 * share)}):
                if len(removed[axis]) == found.graph[axis].size:
                    continue
                try:
                    plan = found.graph.plan(removed)
                except PlanError as error:
                    refused.append((axis, str(error)))
                else:
                    assert_equal_masked(found.model, cut(found.model, plan), plan, found.call())
    assert refused
    for axis, message in refused:
        assert re.search(rf"coupled\.py:\d+.*equal shares.*{re.escape(axis)}", message)


@pytest.mark.parametrize("name", COUPLED)
def test_half_of_everything_is_half_of_everything(name: str) -> None:
    graph = _graph(name)
    plan = select(graph, Random()(graph), scope={"*": 0.5})
    for coupling in graph.couplings:
        steps = -(-coupling.steps // 2)
        assert {axis: len(plan.removed[axis]) // share for axis, share in coupling.shares.items()} == dict.fromkeys(
            coupling.shares, steps
        )


@pytest.mark.parametrize("scope", ["global", "layerwise"])
@pytest.mark.parametrize("name", COUPLED)
def test_budgets_are_met_with_equal_shares(name: str, scope: str) -> None:
    graph = _graph(name)
    for seed in range(4):
        plan = select(graph, Random(seed=seed)(graph), {"params": 0.3}, scope=scope)  # type: ignore[arg-type]
        assert plan.cost.params <= 0.7 * plan.before.params
        lost = {axis: len(units) for axis, units in plan.removed.items()}
        assert all(coupling.even(lost) for coupling in graph.couplings)


def test_the_lowest_units_of_each_axis_go() -> None:
    graph = _graph()
    scores = {axis.name: torch.arange(axis.size, dtype=torch.float64) for axis in graph.axes}
    plan = select(graph, scores, scope={"first": 0.5})
    assert plan.removed == {"first": (0, 1, 2, 3, 4, 5), "blocks.0.qkv": (0, 1), "blocks.1.qkv": (0, 1)}


def test_kept_counts_are_multiples_on_every_axis() -> None:
    graph = _graph()
    plan = select(graph, Random()(graph), scope={"*": 0.6}, multiple_of=2)
    assert {axis: graph[axis].size - len(units) for axis, units in plan.removed.items()} == {
        "first": 6,
        "blocks.0.qkv": 2,
        "blocks.1.qkv": 2,
    }


def test_one_protected_axis_keeps_all_whole() -> None:
    graph = _graph("coupled_parts_halves")
    plan = select(graph, Random()(graph), scope={"*": 0.5}, protect=["first:hidden.1"])
    assert list(plan.removed) == ["hidden"]
    with pytest.raises(PlanError, match=r"an axis that may be cut"):
        select(_graph(), Random()(_graph()), scope={"*": 0.5}, kinds=["head_dim"])


def test_ratios_that_differ_are_refused() -> None:
    graph = _graph()
    with pytest.raises(PlanError, match=r"0\.5 for 'first', 0\.25 for 'blocks\.0\.qkv'"):
        select(graph, Random()(graph), scope={"first": 0.5, "blocks.0.qkv": 0.25})


def test_a_floor_holds_on_every_axis() -> None:
    graph = _graph()
    with pytest.raises(BudgetError, match=r"at most 3 \(0\.2500 of them\)"):
        select(graph, Random()(graph), scope={"first": 0.5}, floor=3)


def test_couplings_are_printed() -> None:
    text = str(_graph())
    assert "cut by equal shares:\n  4 steps of 3 of first, 1 of blocks.0.qkv, 1 of blocks.1.qkv" in text


def test_sizes_that_the_code_found_unequal_stay_so() -> None:
    found = case("compared_sizes")
    plan = found.graph.plan({"wide": range(6)})
    edits = {edit.name: edit.after for edit in plan.edits if not edit.path}
    assert edits["outer"] == 6 != edits["inner"]
    assert_equal_masked(found.model, cut(found.model, plan), plan, found.call())
