"""The stage `eigen`."""

from pathlib import Path
from typing import Any

import pytest

from secateurs._errors import ConfigError
from secateurs.recipes import RunOptions, run
from secateurs.recipes.stages import TrainStage
from tests.recipes._studies import TRAIN, read_json, recipe, weights

EIGEN: dict[str, Any] = {"type": "eigen", "remove": {"params": 0.3}, "images": 64}
QUICK: dict[str, Any] = {**TRAIN, "epochs": 1}
TWICE: dict[str, Any] = {"type": "repeat", "times": 2, "stages": [EIGEN, QUICK]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained, and cut twice with training between."""
    path = tmp_path_factory.mktemp("eigen") / "small"
    run(recipe(QUICK, TWICE), path)
    return path


def test_each_cut_meets_its_budget_and_is_proved(finished: Path) -> None:
    for name in ("01-eigen", "03-eigen"):
        results = read_json(finished / "stages" / name / "metrics.json")
        assert results["asked"] == {"params": 0.3}
        assert results["removed"]["params"] >= 0.3
        left = 1 - results["removed"]["params"]
        assert results["after"]["params"] == pytest.approx(left * results["before"]["params"])
        assert results["verified"] < 1e-9
        assert read_json(finished / "stages" / name / "rotation.json")["layers"] == results["layers"]
    summary = read_json(finished / "run.json")["summary"]
    assert summary["after"]["params"] < 0.5 * summary["before"]["params"]


def test_a_run_goes_on_from_a_rotated_network(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the files of the second cut alone, to the same bytes."""
    real = TrainStage.run

    def failing(stage: TrainStage, session: Any, step: Any) -> Any:
        if step.index == 4:
            raise RuntimeError("the power is gone")
        return real(stage, session, step)

    monkeypatch.setattr(TrainStage, "run", failing)
    with pytest.raises(RuntimeError, match="power"):
        run(recipe(QUICK, TWICE), tmp_path / "again")
    monkeypatch.setattr(TrainStage, "run", real)
    run(recipe(QUICK, TWICE), tmp_path / "again", RunOptions(resume=True))
    assert weights(tmp_path / "again") == weights(finished)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match="remove"):
        recipe({"type": "eigen"})
    with pytest.raises(ConfigError, match="method"):
        recipe({**EIGEN, "method": "cp"})
