import math
from dataclasses import replace
from typing import Literal

import pytest

from secateurs._errors import ConfigError
from secateurs.training import TrainOptions, learning_rate


def rates(options: TrainOptions, steps: int) -> list[float]:
    return [learning_rate(options, epoch, step, steps) for epoch in range(options.epochs) for step in range(steps)]


def test_cosine_by_hand() -> None:
    options = TrainOptions(epochs=2, lr=0.4, schedule="cosine")
    half = math.sqrt(0.5)
    expected = [0.4, 0.2 * (1 + half), 0.2, 0.2 * (1 - half)]
    assert rates(options, 2) == pytest.approx(expected)


def test_warmup_then_cosine_by_hand() -> None:
    options = TrainOptions(epochs=3, lr=1.0, schedule="cosine", warmup_epochs=1)
    # Two steps up, the highest rate again at the first step after the warm-up, then four steps of half a wave.
    expected = [0.5, 1.0, 1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    assert rates(options, 2) == pytest.approx(expected)


def test_step_by_hand() -> None:
    options = TrainOptions(epochs=5, lr=0.1, schedule="step", milestones=(2, 4), gamma=0.1)
    assert rates(options, 1) == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001])


def test_list_by_hand() -> None:
    """The schedule of a published study: 0 1e-4 5 1e-3 15 -1 25 -1, where -1 is gamma times the one before."""
    listed = ((0, 1e-4), (5, 1e-3), (15, -1.0), (25, -1.0))
    options = TrainOptions(epochs=30, schedule="list", rates=listed, gamma=0.1)
    expected = [1e-4] * 5 + [1e-3] * 10 + [1e-4] * 10 + [1e-5] * 5
    assert rates(options, 1) == pytest.approx(expected)


def test_list_with_warmup_multiplies_both() -> None:
    options = TrainOptions(epochs=3, schedule="list", rates=((0, 0.8), (1, 0.4)), warmup_epochs=2)
    assert rates(options, 2) == pytest.approx([0.2, 0.4, 0.3, 0.4, 0.4, 0.4])


def test_step_with_warmup_multiplies_both() -> None:
    options = TrainOptions(epochs=3, lr=0.8, schedule="step", milestones=(1,), gamma=0.5, warmup_epochs=2)
    assert rates(options, 2) == pytest.approx([0.2, 0.4, 0.3, 0.4, 0.4, 0.4])


def test_constant_with_warmup() -> None:
    options = TrainOptions(epochs=2, lr=0.3, schedule="constant", warmup_epochs=1)
    assert rates(options, 3) == pytest.approx([0.1, 0.2, 0.3, 0.3, 0.3, 0.3])


def test_cosine_does_not_rise_again_past_its_end() -> None:
    options = TrainOptions(epochs=1, lr=0.3, schedule="cosine")
    assert learning_rate(options, 0, 7, 4) == pytest.approx(0.0)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
@pytest.mark.parametrize("warmup_epochs", [1, 2])
def test_training_no_longer_than_its_warmup_only_grows(
    schedule: Literal["cosine", "constant"], warmup_epochs: int
) -> None:
    options = TrainOptions(epochs=1, lr=1.0, schedule=schedule, warmup_epochs=warmup_epochs)
    assert rates(options, 4) == pytest.approx([step / (4 * warmup_epochs) for step in (1, 2, 3, 4)])


@pytest.mark.parametrize(
    "whole",
    [
        TrainOptions(epochs=9, schedule="cosine", warmup_epochs=3),
        TrainOptions(epochs=9, schedule="step", milestones=(2, 5), warmup_epochs=1),
        TrainOptions(epochs=9, schedule="list", rates=((0, 0.3), (4, -1.0), (6, 0.2))),
        TrainOptions(epochs=9, schedule="constant"),
    ],
    ids=lambda options: str(options.schedule),
)
def test_parts_of_a_schedule_are_the_whole(whole: TrainOptions) -> None:
    parts = [
        replace(whole, epochs=epochs, first_epoch=first, schedule_epochs=9)
        for first, epochs in [(0, 2), (2, 4), (6, 3)]
    ]
    assert [rate for part in parts for rate in rates(part, 3)] == rates(whole, 3)


def test_a_schedule_that_ends_before_the_training_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"schedule_epochs.*at least 7"):
        TrainOptions(epochs=4, first_epoch=3, schedule_epochs=6)
    with pytest.raises(ConfigError, match="first_epoch"):
        TrainOptions(first_epoch=-1)
