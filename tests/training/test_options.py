from typing import Any

import pytest

from secateurs._errors import ConfigError
from secateurs.training import TrainOptions


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"epochs": 0}, "train.epochs"),
        ({"lr": 0.0}, "train.lr"),
        ({"lr": float("nan")}, "train.lr"),
        ({"lr": float("inf")}, "train.lr"),
        ({"momentum": 1.0}, "train.momentum"),
        ({"weight_decay": -1e-4}, "train.weight_decay"),
        ({"label_smoothing": 1.0}, "train.label_smoothing"),
        ({"gamma": 0.0}, "train.gamma"),
        ({"warmup_epochs": -1}, "train.warmup_epochs"),
        ({"schedule": "step"}, "train.milestones"),
        ({"schedule": "step", "milestones": (5, 3)}, "train.milestones"),
        ({"schedule": "linear"}, "train.schedule"),
        ({"optimizer": "adam"}, "train.optimizer"),
        ({"precision": "fp16"}, "train.precision"),
        ({"nesterov": True, "momentum": 0.0}, "train.nesterov"),
    ],
)
def test_values_out_of_range_are_refused(values: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError, match=where):
        TrainOptions(**values)


def test_defaults_are_valid() -> None:
    assert TrainOptions().epochs == 10
