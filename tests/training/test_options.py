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
        ({"schedule": "list"}, "train.rates"),
        ({"schedule": "list", "rates": ((1, 0.1),)}, "train.rates"),
        ({"schedule": "list", "rates": ((0, 0.1), (0, 0.2))}, "train.rates"),
        ({"schedule": "list", "rates": ((0, 0.1), (5, 0.2), (3, 0.1))}, "train.rates"),
        ({"schedule": "list", "rates": ((0, -1.0),)}, "train.rates"),
        ({"schedule": "list", "rates": ((0, 0.1), (1, 0.0))}, "train.rates"),
        ({"schedule": "list", "rates": ((0, 0.1), (1, float("inf")))}, "train.rates"),
        ({"rates": ((0, 0.1),)}, "train.rates: wanted none, or schedule 'list'"),
        ({"optimizer": "adagrad"}, "train.optimizer"),
        ({"clip_norm": 0.0}, "train.clip_norm"),
        ({"clip_norm": float("nan")}, "train.clip_norm"),
        ({"ema": 1.0}, "train.ema"),
        ({"ema": 0.0}, "train.ema"),
        ({"patience": 0}, "train.patience"),
        ({"nonfinite": "ignore"}, "train.nonfinite"),
        ({"skip_limit": 0}, "train.skip_limit"),
        ({"record_steps": 0}, "train.record_steps"),
        ({"precision": "fp16"}, "train.precision"),
        ({"nesterov": True, "momentum": 0.0}, "train.nesterov"),
    ],
)
def test_values_out_of_range_are_refused(values: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError, match=where):
        TrainOptions(**values)


def test_defaults_are_valid() -> None:
    assert TrainOptions().epochs == 10
