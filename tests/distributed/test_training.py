"""Training on two ranks against training in one process."""

from pathlib import Path
from typing import Any

import pytest
import torch

from secateurs._errors import ConfigError
from tests.distributed import _training
from tests.distributed._ranks import run_ranks

_MODULE = "tests.distributed._training"


def both(**arguments: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What one process finds, and what each of two ranks finds."""
    ranks = run_ranks(_MODULE, "trained", **arguments)
    assert [rank.code for rank in ranks] == [0, 0], ranks[0].errors + ranks[1].errors
    return _training.trained(**arguments), [rank.value for rank in ranks]


def assert_same_training(one: dict[str, Any], ranks: list[dict[str, Any]]) -> None:
    """Equal bits on all ranks, and rounding apart the weights and figures of one process."""
    assert ranks[0] == ranks[1]
    for name, weights in one["weights"].items():
        wanted, found = torch.tensor(weights).double(), torch.tensor(ranks[0]["weights"][name]).double()
        assert float((wanted - found).norm()) <= 1e-12 * float(wanted.norm()), name
    assert ranks[0]["accuracies"] == one["accuracies"]
    for wanted_row, found_row in zip(one["losses"], ranks[0]["losses"], strict=True):
        assert found_row == pytest.approx(wanted_row, rel=1e-6)
    assert ranks[0]["seen"] == pytest.approx(one["seen"], rel=1e-12)
    assert ranks[0]["seen"][2] == 33


def test_two_ranks_train_as_one_process() -> None:
    # 45 images in batches of 11: parts of 5 and 6, and a last batch of one image for two ranks.
    assert_same_training(
        *both(network="mlp", options={"clip_norm": 1.0, "ema": 0.9, "label_smoothing": 0.1, "record_steps": 2})
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "options"),
    [
        ("conv2", {"momentum": 0.9, "nesterov": True}),
        ("mlp", {"optimizer": "adamw", "lr": 0.001, "nonfinite": "skip"}),
        ("vae28", {"optimizer": "adam", "lr": 0.003, "weight_decay": 0.0, "record_steps": 2}),
    ],
)
def test_other_networks_and_optimizers_train_as_one_process(network: str, options: dict[str, Any]) -> None:
    assert_same_training(*both(network=network, options=options))


@pytest.mark.slow
def test_teachers_and_penalties_are_the_same_for_two_ranks() -> None:
    assert_same_training(*both(network="conv2", options={"ema": 0.9}, guided=True))


@pytest.mark.slow
def test_running_statistics_are_those_of_all_ranks() -> None:
    # BatchNorm normalises over each rank's own images here, so the weights are near those of one process, not equal.
    one, ranks = both(network="norm", options={"ema": 0.9, "epochs": 4, "lr": 0.01}, images=60)
    assert ranks[0] == ranks[1]
    for name, weights in one["weights"].items():
        wanted, found = torch.tensor(weights).double(), torch.tensor(ranks[0]["weights"][name]).double()
        assert float((wanted - found).norm()) <= 0.2 * float(wanted.norm()), name


@pytest.mark.slow
def test_ranks_that_would_wait_for_ever_are_refused() -> None:
    ranks = run_ranks(_MODULE, "trained_on_uneven_sets")
    assert all("wanted as many batches on every rank, got 5 on rank 0, 4 on rank 1" in rank.value for rank in ranks)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"clip_norm": 0.5}, {"optimizer": "adamw", "lr": 0.001}])
def test_shards_train_as_one_process(options: dict[str, Any]) -> None:
    ranks = run_ranks(_MODULE, "trained", network="conv2", options={**options, "strategy": "fsdp"})
    assert [rank.code for rank in ranks] == [0, 0], ranks[0].errors + ranks[1].errors
    assert_same_training(_training.trained(network="conv2", options=options), [rank.value for rank in ranks])


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_ranks_go_on_from_a_checkpoint_bit_by_bit(strategy: str, tmp_path: Path) -> None:
    ranks = run_ranks(_MODULE, "interrupted", strategy=strategy, folder=str(tmp_path))
    assert [rank.code for rank in ranks] == [0, 0], ranks[0].errors + ranks[1].errors
    for rank in ranks:
        assert rank.value["again"] == rank.value["whole"]
        assert rank.value == ranks[0].value


@pytest.mark.parametrize(
    ("options", "match"),
    [({}, "strategy: wanted several ranks"), ({"ema": 0.9}, "several ranks"), ({"nonfinite": "skip"}, "several ranks")],
)
def test_one_process_has_no_shards(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        _training.trained(network="mlp", options={**options, "strategy": "fsdp"})
