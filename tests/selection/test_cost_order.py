"""Importance per cost: against the greedy choice from its definition."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from secateurs._errors import BudgetError, PlanError
from secateurs.graph import Graph
from secateurs.selection import select
from tests.selection._toys import Units, figures, graph_of, graphs, met, mlp, scores_of, units_of

quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])


def _ratio(graph: Graph, scores: Mapping[str, Tensor], removed: Units, pair: tuple[int, int], per: str) -> float:
    """The score of a unit by what the model loses with it now."""
    cost = figures(graph, removed)[per] - figures(graph, removed | {pair})[per]
    score = float(scores[graph.axes[pair[0]].name][pair[1]])
    if cost == 0:
        return float("inf")
    return score / cost if score >= 0 else score * cost


def slow_per_cost(graph: Graph, scores: Mapping[str, Tensor], remove: Mapping[str, float], per: str) -> Units | None:
    """Every ratio computed anew for every unit; None where the budget is out of reach. No couplings, no branches."""
    queues = {
        number: [(number, int(unit)) for unit in torch.argsort(scores[axis.name], stable=True)[: axis.size - 1]]
        for number, axis in enumerate(graph.axes)
        if axis.kind != "branch"
    }
    removed: Units = set()
    taken = []
    while not met(graph, removed, remove):
        heads = [queue[0] for queue in queues.values() if queue]
        if not heads:
            return None
        best = min(heads, key=lambda pair: (_ratio(graph, scores, removed, pair, per), pair[0]))
        queues[best[0]].pop(0)
        removed.add(best)
        taken.append(best)
    for pair in reversed(taken):
        if met(graph, removed - {pair}, remove):
            removed.discard(pair)
    return removed


@quick
@given(
    graph=graphs().filter(lambda graph: not graph.couplings),
    seed=st.integers(0, 2**32),
    ratio=st.floats(0.02, 0.9).map(lambda ratio: round(ratio, 3)),
    key=st.sampled_from(["macs", "params"]),
    per=st.sampled_from(["macs", "params"]),
    shift=st.sampled_from([0, 500]),
)
def test_importance_per_cost_is_its_definition(
    graph: Graph, seed: int, ratio: float, key: str, per: Any, shift: int
) -> None:
    scores = {name: values - shift for name, values in scores_of(graph, seed).items()}
    wanted = slow_per_cost(graph, scores, {key: ratio}, per)
    if wanted is None:
        with pytest.raises(BudgetError):
            select(graph, scores, {key: ratio}, per=per)
    else:
        assert units_of(select(graph, scores, {key: ratio}, per=per)) == wanted


def test_of_equal_scores_the_dearer_goes() -> None:
    graph = mlp([2, 4, 100, 3])  # a unit of "0" costs 102 multiply-adds, one of "1" 7
    ones = {axis.name: torch.ones(axis.size) for axis in graph.axes}
    assert dict(select(graph, ones, {"macs": 0.1}, per="macs").removed) == {"0": (0,)}


def test_costs_are_those_of_the_network_as_it_is_then() -> None:
    graph = mlp([1, 10, 10, 1])  # a unit costs 11 at first; less, once units of the other layer are gone
    scores = {"0": torch.arange(1.0, 11.0), "1": torch.arange(1.0, 11.0)}
    gone = select(graph, scores, {"units": 0.5}, per="macs").removed
    # Whichever is cut first makes the other's units cheaper, and so less worth cutting than their scores say.
    assert {name: len(units) for name, units in gone.items()} == {"0": 5, "1": 5}
    scores["1"] += 1
    uneven = select(graph, scores, {"units": 0.5}, per="macs").removed
    assert len(uneven["0"]) > len(uneven["1"])


def test_less_importance_goes_for_the_same_multiply_adds() -> None:
    graph = graph_of("resnet20/0.5")
    scores = scores_of(graph, 0)
    lost = {}
    for per in (None, "macs"):
        removed = select(graph, scores, {"macs": 0.5}, per=per).removed
        lost[per] = sum(float(scores[name][list(units)].sum()) for name, units in removed.items())
    assert lost["macs"] < 0.8 * lost[None]


@pytest.mark.parametrize("multiple_of", [2, 4])
def test_blocks_and_coupled_axes_are_taken_whole(multiple_of: int) -> None:
    for name in ("attention", "resnet8/0.25"):
        graph = graph_of(name)
        plan = select(graph, scores_of(graph, 1), {"macs": 0.2}, per="params", multiple_of=multiple_of)
        assert plan.removed
        for axis, units in plan.removed.items():
            assert (graph[axis].size - len(units)) % multiple_of == 0


def test_what_it_cannot_be_is_refused() -> None:
    graph = mlp([2, 4, 3])
    scores = scores_of(graph, 0)
    with pytest.raises(PlanError, match=r"per: wanted one of macs, params, or None, got 'mac'.*Did you mean 'macs'"):
        select(graph, scores, {"macs": 0.5}, per="mac")  # type: ignore[arg-type]
    for scope in ("layerwise", {"0": 0.5}):
        with pytest.raises(PlanError, match="per: wanted scope='global'"):
            select(graph, scores, {"macs": 0.5}, per="macs", scope=scope)
