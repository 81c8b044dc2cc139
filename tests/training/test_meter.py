import json

import pytest
import torch

from secateurs.training._meter import Meter

SCORES = torch.tensor([[2.0, 1.0], [0.0, 3.0]])


def test_means_are_weighted_by_images() -> None:
    meter = Meter()
    meter.add(torch.tensor(1.0), SCORES, torch.tensor([0, 0]))
    meter.add(torch.tensor(4.0), SCORES[:1], torch.tensor([0]))
    assert meter.fold() is None
    assert meter.loss == pytest.approx((2 * 1.0 + 1 * 4.0) / 3)
    assert meter.accuracy == pytest.approx(2 / 3)
    assert (meter.images, meter.steps) == (3, 2)


def test_folding_gives_the_first_bad_step_counted_from_the_start() -> None:
    meter = Meter()
    assert meter.fold() is None
    for loss in (1.0, 2.0, 3.0):
        meter.add(torch.tensor(loss), SCORES, torch.tensor([0, 1]))
    assert meter.fold() is None
    for loss in (1.0, float("inf"), float("nan")):
        meter.add(torch.tensor(loss), SCORES, torch.tensor([0, 1]))
    assert meter.fold() == 4


def test_without_scores_there_is_no_accuracy() -> None:
    meter = Meter()
    meter.add(torch.tensor(1.0), None, torch.tensor([0, 0]))
    assert meter.fold() is None
    assert (meter.loss, meter.accuracy) == (1.0, None)


def test_steps_taken_back_count_in_no_mean() -> None:
    meter, right = Meter(), torch.tensor([0, 1])
    for loss, good in ((1.0, True), (float("nan"), False), (float("inf"), False), (2.0, True), (9.0, False)):
        meter.add(torch.tensor(loss), SCORES, right, torch.tensor(good))
    assert meter.fold() is None
    assert (meter.loss, meter.accuracy) == (1.5, 1.0)
    assert (meter.steps, meter.images, meter.skipped, meter.skipped_in_a_row) == (5, 10, 3, 2)


def test_a_row_of_steps_taken_back_goes_on_over_a_fold() -> None:
    meter = Meter()
    for _ in range(3):
        meter.add(torch.tensor(float("nan")), SCORES, torch.tensor([0, 1]), torch.tensor(False))
        meter.fold(wait=False)
    assert meter.skipped_in_a_row == 3
    assert meter.loss != meter.loss


def test_a_curve_has_the_mean_of_each_window() -> None:
    meter, right = Meter(2), torch.tensor([0, 1])
    nothing = torch.tensor(False)
    steps = [(1.0, None), (2.0, None), (5.0, nothing), (4.0, None), (9.0, nothing), (9.0, nothing), (0.5, None)]
    for number, (loss, good) in enumerate(steps):
        meter.add(torch.tensor(loss), SCORES, right, good)
        if number == 3:
            meter.fold()
            meter = Meter.resumed(json.loads(json.dumps(meter.state)))
    meter.fold()
    assert meter.curve == (1.5, 4.0, None, 0.5)
    assert Meter.resumed(meter.state).curve == meter.curve


def test_a_curve_weighs_steps_by_their_images() -> None:
    meter = Meter(2)
    meter.add(torch.tensor(1.0), None, torch.zeros(3))
    meter.add(torch.tensor(5.0), None, torch.zeros(1))
    meter.fold()
    assert meter.curve == (2.0,)
    assert meter.loss == 2.0


def test_a_resumed_meter_goes_on() -> None:
    whole, first = Meter(), Meter()
    for meter in (whole, first):
        meter.add(torch.tensor(0.1), SCORES, torch.tensor([0, 0]))
        meter.fold()
    second = Meter.resumed(json.loads(json.dumps(first.state)))
    for meter in (whole, second):
        meter.add(torch.tensor(0.7), SCORES, torch.tensor([0, 1]))
        meter.fold()
    assert second.state == whole.state
    assert (second.loss, second.accuracy, second.steps) == (whole.loss, whole.accuracy, 2)
