"""Gates on two ranks against one process: the rewards and baselines of a step are those of all its images."""

from pathlib import Path
from typing import Any

import pytest

from tests.distributed import _gates
from tests.distributed._ranks import run_ranks
from tests.distributed._recipes import command, finished, recipe, weights
from tests.recipes._studies import read_json

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("images", [7, 1])
def test_policy_gradients_are_those_of_the_whole_step(images: int) -> None:
    ranks = run_ranks("tests.distributed._gates", "step", images=images)
    assert [rank.code for rank in ranks] == [0, 0], ranks[0].errors + ranks[1].errors
    assert ranks[0].value == ranks[1].value
    alone = _gates.step(images)
    assert any("skip_gate" in name for name in alone)
    for name, gradient in alone.items():
        assert ranks[0].value[name] == pytest.approx(gradient, rel=1e-9, abs=1e-12), name


def test_gates_are_trained_on_two_ranks_as_on_one(tmp_path: Path) -> None:
    train = {"lr": 0.05, "precision": "32"}
    gates: dict[str, Any] = {
        "type": "gates",
        "bias": 0.0,
        "supervised": {"epochs": 2, "penalty": 0.3, "train": train},
        "reinforce": {"epochs": 2, "alpha": 3.0, "rl_weight": 1.0, "baseline": "batch", "train": train},
    }
    file = recipe(
        tmp_path,
        model={"factory": "tests.distributed._gates:network"},
        data={"name": "digits", "limit": 180, "validation_ratio": 0.1},
        stages=[gates, {"type": "measure", "latency": False}],
    )
    finished(command(file, tmp_path / "one", "devices=1"))
    finished(command(file, tmp_path / "two"))
    one, two = (weights(tmp_path / name, "01-gates-reinforce") for name in ("one", "two"))
    for name, value in one.items():
        assert float((value - two[name]).norm()) <= 1e-5 * float(value.norm()), name
    told = [read_json(tmp_path / name / "run.json")["stages"][2]["results"]["gates"] for name in ("one", "two")]
    assert told[0] == told[1]
    assert 0 < told[0]["blocks_run"] < 1
