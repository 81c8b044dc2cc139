"""What budgets can be met: against every plan there is."""

from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secateurs._errors import BudgetError, PlanError
from secateurs.graph import Graph
from secateurs.selection import Reach, reachable, select
from tests.selection._toys import KEYS, figures, graph_of, graphs, mlp, scores_of

quick = settings(max_examples=25, deadline=None)
rules = st.fixed_dictionaries(
    {
        "floor": st.integers(1, 3) | st.sampled_from([0.25]),
        "cap": st.sampled_from([None, 0.4, 0.8]),
        "multiple_of": st.sampled_from([1, 2, 4]),
    }
)


def _counts(size: int, floor: float, cap: float | None, multiple_of: int) -> list[int]:
    """How many units of an axis may go."""
    least = max(floor * size if floor < 1 else floor, size * (1 - Fraction(repr(cap))) if cap else 1)
    return [0, *(gone for gone in range(1, size) if size - gone >= least and (size - gone) % multiple_of == 0)]


@quick
@given(widths=st.sampled_from(["2-3-2", "3-5-4-2", "2-6-3-4-3"]), options=rules)
def test_the_most_and_the_least_are_those_of_all_plans(widths: str, options: dict[str, Any]) -> None:
    graph, dense = graph_of(widths), figures(graph_of(widths), set())
    counts = [_counts(axis.size, **options) for axis in graph.axes]
    every = [
        figures(graph, {(number, unit) for number, gone in enumerate(chosen) for unit in range(gone)})
        for chosen in product(*counts)
    ]
    found = reachable(graph, **options)
    for key in KEYS:
        taken = [dense[key] - plan[key] for plan in every]
        assert found[key].dense == dense[key]
        assert found[key].most == max(taken)
        singles = [taken[n] for n, chosen in enumerate(product(*counts)) if sum(map(bool, chosen)) == 1]
        assert found[key].least == min((value for value in singles if value), default=0)


@quick
@given(graph=graphs(), seed=st.integers(0, 1000), options=rules, key=st.sampled_from(KEYS))
def test_what_is_reachable_can_be_asked_for_and_no_more(
    graph: Graph, seed: int, options: dict[str, Any], key: str
) -> None:
    scores, reach = scores_of(graph, seed), reachable(graph, **options)[key]
    if reach.ratio > 0:
        plan = select(graph, scores, {key: reach.ratio}, **options)
        assert plan.removed
    with pytest.raises(BudgetError, match=f"at most {reach.ratio:.4f} of {key}"):
        select(graph, scores, {key: round(reach.ratio + 0.0001, 4)}, **options)


def test_all_figures_are_brought_down_at_once() -> None:
    graph = graph_of("resnet8/0.25")
    ratios = {key: reach.ratio for key, reach in reachable(graph, floor=0.25).items()}
    plan = select(graph, scores_of(graph, 3), ratios, floor=0.25)
    assert 1 - plan.cost.params / plan.before.params >= ratios["params"]


def test_protected_axes_take_no_part() -> None:
    graph = mlp([2, 4, 6, 3])
    assert reachable(graph, protect=["1"])["units"] == Reach(dense=10, least=1, most=3)
    with pytest.raises(PlanError, match="select: wanted an axis that may be cut"):
        reachable(graph, protect=["*"])


def test_with_branches_scores_say_what_goes_together() -> None:
    graph = graph_of("residual")
    scores = scores_of(graph, 0)
    kinds = ["branch", "channel"]
    reach = reachable(graph, scores, kinds=kinds)["params"]
    assert reach.most >= reachable(graph)["params"].most
    assert select(graph, scores, {"params": reach.ratio}, kinds=kinds).removed


def test_it_reads_as_a_sentence() -> None:
    assert str(Reach(dense=1000, least=1, most=750)) == "up to 0.7500 of 1,000, the first unit from 0.001000"
