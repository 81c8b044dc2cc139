"""Budgets of measured figures, with clocks that repeat."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from secateurs._errors import BudgetError, PlanError
from secateurs.graph import Plan
from secateurs.selection import Probing, reachable, select_measured
from tests.selection._toys import graph_of, mlp, scores_of

Clock = Callable[[float], float]
CLOCKS: dict[str, Clock] = {
    "as multiply-adds": lambda macs: macs,
    "late": lambda macs: macs**3,
    "early": lambda macs: 1 - (1 - macs) ** 3,
    "half of it overhead": lambda macs: 0.5 * macs,
    "slower at first": lambda macs: 1.2 * macs - 0.2 * min(1, 10 * macs),
}


def _measure(clock: Clock, seen: list[float]) -> Callable[[Plan], float]:
    def measure(plan: Plan) -> float:
        seen.append(1 - plan.cost.macs / plan.before.macs)
        return clock(seen[-1])

    return measure


@pytest.mark.parametrize("name", CLOCKS)
@pytest.mark.parametrize("ratio", [0.2, 0.4])
def test_the_budget_is_met_within_the_tolerance(name: str, ratio: float) -> None:
    graph, seen = mlp([100, 200, 200, 200, 10]), list[float]()
    found = select_measured(graph, scores_of(graph, 0), ratio, _measure(CLOCKS[name], seen))
    assert 0 <= found.removed - ratio <= 0.02
    assert found.within
    assert [probe.macs for probe in found.probes] == pytest.approx(seen)
    assert len(seen) <= 8
    assert found.removed == pytest.approx(CLOCKS[name](1 - found.plan.cost.macs / found.plan.before.macs))


def test_counted_figures_are_met_besides() -> None:
    graph = graph_of("resnet8/0.25")
    remove = {"params": 0.6, "macs": 0.2}
    found = select_measured(graph, scores_of(graph, 0), 0.1, _measure(CLOCKS["early"], []), remove=remove, per="macs")
    assert found.plan.cost.params <= 0.4 * found.plan.before.params
    assert found.plan.cost.macs <= 0.8 * found.plan.before.macs
    assert found.removed > 0.12
    assert not found.within


def test_a_clock_that_falls_in_one_step_gives_the_smallest_cut_found_behind_it() -> None:
    graph, seen = graph_of("resnet8/0.25"), list[float]()
    found = select_measured(graph, scores_of(graph, 0), 0.3, _measure(lambda macs: 0.5 * (macs > 0.4), seen))
    assert found.removed == 0.5
    assert not found.within
    assert 1 - found.plan.cost.macs / found.plan.before.macs == min(macs for macs in seen if macs > 0.4) < 0.45


def _said(gains: Iterator[float]) -> Callable[[Plan], float]:
    return lambda plan: next(gains)


def test_noise_never_lets_it_go_on_for_ever() -> None:
    graph = graph_of("resnet8/0.25")
    for seed in range(5):
        gains = iter([0.5, 0.1, 0.6, 0.2, 0.31 + seed, *[0.9] * 20])
        found = select_measured(graph, scores_of(graph, seed), 0.3, _said(gains))
        assert found.removed >= 0.3
        assert len(found.probes) <= 8


def test_what_cannot_be_reached_is_said_with_what_was_measured() -> None:
    graph, seen = graph_of("resnet8/0.25"), list[float]()
    most = reachable(graph)["macs"]
    with pytest.raises(BudgetError, match=r"remove\['latency'\]: wanted 0\.6 of latency removed, got at most 0\.46"):
        select_measured(graph, scores_of(graph, 0), 0.6, _measure(CLOCKS["half of it overhead"], seen))
    assert max(seen) == most.most / most.dense


@pytest.mark.parametrize("options", [{"tolerance": 0.0}, {"tolerance": 1.0}, {"probes": 1}])
def test_probing_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match=f"{next(iter(options))}: wanted"):
        Probing(**options)


def test_ratios_that_make_no_sense_are_refused() -> None:
    graph = mlp([2, 4, 3])
    with pytest.raises(PlanError, match="ratio: wanted a ratio between 0 and 1"):
        select_measured(graph, scores_of(graph, 0), 1.5, lambda plan: 0.5)
    with pytest.raises(PlanError, match="scope: wanted a scope that leaves a choice"):
        select_measured(graph, scores_of(graph, 0), 0.5, lambda plan: 0.5, scope={"0": 0.5})
