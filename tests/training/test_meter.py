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
