"""One budget over several cuts."""

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from secateurs import models
from secateurs._errors import PlanError
from secateurs.criteria import Magnitude
from secateurs.graph import trace
from secateurs.selection import Schedule, cut_ratios, reachable, select, still_to_remove
from secateurs.surgery import apply

quick = settings(max_examples=60, deadline=None)
schedules = st.sampled_from(get_args(Schedule))
ratios = st.floats(0.01, 0.99).map(lambda ratio: round(ratio, 3))


@quick
@given(schedule=schedules, ratio=ratios, cuts=st.integers(1, 40))
def test_every_cut_takes_more_and_the_last_ends_exactly(schedule: Any, ratio: float, cuts: int) -> None:
    found = cut_ratios(ratio, cuts, schedule)
    assert len(found) == cuts
    assert found[-1] == Fraction(repr(ratio))
    assert all(a < b for a, b in pairwise([Fraction(0), *found]))


def test_the_formulas() -> None:
    assert cut_ratios(0.6, 3, "linear") == (Fraction(1, 5), Fraction(2, 5), Fraction(3, 5))
    assert cut_ratios(0.8, 2, "cubic") == (Fraction(7, 10), Fraction(4, 5))
    p = 1 - 0.4 ** (1 / 5)
    assert [float(r) for r in cut_ratios(0.6, 5, "geometric")] == pytest.approx([1 - (1 - p) ** k for k in range(1, 6)])
    eighths = cut_ratios(0.4, 8, "exponential")
    assert float(eighths[0]) == pytest.approx(0.3)
    left = [0.4 - float(ratio) + 0.4 * 0.25001144828495603**8 / (1 - 0.25001144828495603**8) for ratio in eighths[:-1]]
    assert [b / a for a, b in pairwise(left)] == pytest.approx([0.25001144828495603] * 6)


@quick
@given(
    schedule=schedules,
    ratio=ratios,
    cuts=st.integers(1, 8),
    start=st.integers(2, 10**9),
    excess=st.lists(st.integers(0, 50), min_size=8, max_size=8),
)
def test_in_sum_the_cuts_take_what_one_takes(
    schedule: Any, ratio: float, cuts: int, start: int, excess: list[int]
) -> None:
    """Whatever each cut takes too much (units are not single multiply-adds), the next one takes less."""
    now = start
    for share, more in zip(cut_ratios(ratio, cuts, schedule), excess, strict=False):
        target = start - min(max(1, math.ceil(share * start)), start - 1)
        asked = still_to_remove({"macs": share}, {"macs": start}, {"macs": now}).get("macs", Fraction(0))
        assert now - math.ceil(asked * now) == min(now, target)
        now = max(1, now - math.ceil(asked * now) - (more if asked else 0))
    assert start - now >= min(math.ceil(Fraction(repr(ratio)) * start), start - 1)


@pytest.mark.parametrize("schedule", get_args(Schedule))
def test_a_network_cut_in_steps_meets_the_budget_as_if_cut_once(schedule: Any) -> None:
    model, x = models.build("resnet8", width=0.5), torch.zeros(1, 3, 32, 32)
    start = {key: reach.dense for key, reach in reachable(trace(model, (x,))).items()}
    for share in cut_ratios(0.6, 4, schedule):
        graph = trace(model, (x,))
        now = {key: reach.dense for key, reach in reachable(graph).items()}
        remove = still_to_remove({"params": share, "macs": share / 2}, start, now)
        if remove:
            plan = select(graph, Magnitude()(graph), remove)
            model = apply(model, plan, verify=False).model
            assert plan.cost.params <= (1 - share) * start["params"]
            assert plan.cost.macs <= (1 - share / 2) * start["macs"]
    assert 0 <= 0.4 - plan.cost.params / start["params"] < 0.02  # one unit of the widest stream


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((1.5, 3), "ratio: wanted a ratio between 0 and 1"),
        ((0.5, 0), "cuts: wanted an integer of at least 1, got 0"),
        ((0.5, True), "cuts: wanted an integer of at least 1, got True"),
        ((0.5, 3, "qubic"), r"schedule: wanted one of linear, .*, got 'qubic'.*'cubic'"),
    ],
)
def test_what_makes_no_sense_is_refused(args: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        cut_ratios(*args)
