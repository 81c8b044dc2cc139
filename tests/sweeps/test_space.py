"""The values of dimensions, and the order in which a grid goes through them."""

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secateurs._errors import ConfigError
from secateurs.sweeps._propose import propose
from secateurs.sweeps._space import Choices, Dimension, Range, changes, draw, grid_values
from secateurs.sweeps._trial import Trial
from tests.sweeps._sweeps import sweep

SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=4)


@given(sizes=SIZES)
@settings(max_examples=30, deadline=None)
def test_a_grid_covers_the_product_exactly_once(sizes: list[int]) -> None:
    space = {f"model.options.{'abcd'[place]}": list(range(size)) for place, size in enumerate(sizes)}
    made = sweep(space=space)
    trials: list[Trial] = []
    while (values := propose(made, trials)) is not None:
        trials.append(Trial(number=len(trials), name="", values=values, runs=()))
    found = [tuple(trial.values.values()) for trial in trials]
    assert found == list(itertools.product(*space.values()))
    assert all(list(trial.values) == list(space) for trial in trials)
    assert len(found) == made.count


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"low": 2, "high": 5}, (2, 3, 4, 5)),
        ({"low": 2, "high": 9, "step": 3}, (2, 5, 8)),
        ({"low": 0.1, "high": 0.5, "step": 0.1}, (0.1, 0.2, 0.3, 0.4, 0.5)),
        ({"low": 0.0, "high": 1.0, "count": 3}, (0.0, 0.5, 1.0)),
        ({"low": 1e-3, "high": 1.0, "count": 4, "log": True}, (0.001, 0.01, 0.1, 1.0)),
        ({"low": 1, "high": 3, "count": 9}, (1, 2, 3)),
    ],
)
def test_ranges_list_their_numbers(values: dict[str, float], expected: tuple[float, ...]) -> None:
    listed = Range.model_validate(values).values()
    assert listed == expected
    assert [type(number) for number in listed] == [type(number) for number in expected]


@given(low=st.floats(1e-6, 1e3), ratio=st.floats(1.001, 1e6), log=st.booleans(), seed=st.integers(0, 99))
def test_numbers_drawn_lie_in_their_range_and_are_short(low: float, ratio: float, log: bool, seed: int) -> None:
    made = Range(low=low, high=low * ratio, log=log)
    number = made.draw(random.Random(seed))
    assert made.low <= number <= made.high
    assert number in (made.low, made.high) or float(f"{number:.6g}") == number


def test_a_logarithmic_range_draws_orders_of_magnitude_alike() -> None:
    made, source = Range(low=1e-4, high=1.0, log=True), random.Random(0)
    drawn = [math.floor(math.log10(made.draw(source))) for _ in range(2000)]
    assert all(450 < drawn.count(magnitude) < 550 for magnitude in (-4, -3, -2, -1))


def test_whole_numbers_stay_whole_on_a_logarithmic_scale() -> None:
    made, source = Range(low=1, high=64, log=True), random.Random(0)
    drawn = {made.draw(source) for _ in range(300)}
    assert {1, 64} <= drawn
    assert all(isinstance(number, int) for number in drawn)


def test_named_choices_set_several_keys() -> None:
    both = Choices(choices={"small": {"model.name": "mlp", "batches.size": 8}, "as_is": {}})
    assert grid_values("network", both) == ("small", "as_is")
    space: dict[str, Dimension] = {"network": both, "seed": (1, 2)}
    assert changes(space, {"network": "small", "seed": 2}) == {"model.name": "mlp", "batches.size": 8, "seed": 2}
    assert changes(space, {"network": "as_is", "seed": 1}) == {"seed": 1}
    assert draw(both, random.Random(0)) in both.choices


def test_a_grid_refuses_a_range_that_cannot_be_listed() -> None:
    with pytest.raises(ConfigError, match=r"space.stages.0.lr: wanted numbers that can be listed.*step or a count"):
        sweep(space={"stages.0.lr": {"low": 0.1, "high": 0.2}})
