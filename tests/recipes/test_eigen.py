"""The stage `eigen`."""

from pathlib import Path
from typing import Any

import pytest

from secateurs._errors import ConfigError
from secateurs.recipes import RunOptions, find_recipe, parse, read_yaml, run
from secateurs.recipes.stages import TrainStage
from tests.recipes._studies import TRAIN, read_json, recipe, weights

EIGEN: dict[str, Any] = {"type": "eigen", "remove": {"params": 0.3}, "images": 64}
QUICK: dict[str, Any] = {**TRAIN, "epochs": 1}
WAYS = ("eigen", "kron_obd", "magnitude", "random")
LEVELS = {"30": 0.3, "60": 0.6}
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


def test_directions_can_be_the_budget_and_cuts_can_stop(tmp_path: Path) -> None:
    cut = {"type": "eigen", "remove": {"units": 0.3}, "order": "importance", "stop": {"removed": {"params": 0.01}}}
    twice = {"type": "repeat", "times": 2, "stages": [{**cut, "images": 64}]}
    run(recipe(twice), tmp_path / "run")
    first, second = (read_json(tmp_path / "run" / "stages" / f"{n}-eigen" / "metrics.json") for n in ("00", "01"))
    assert first["removed"]["units"] >= 0.3
    assert first["removed"]["params"] >= 0.01
    assert second["stopped"].startswith("removed")
    assert second["after"] == first["after"]
    summary = read_json(tmp_path / "run" / "run.json")["summary"]
    assert summary["removed"]["units"] == first["removed"]["units"]
    assert summary["asked"] == pytest.approx({"units": 0.3})


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match="remove"):
        recipe({"type": "eigen"})
    with pytest.raises(ConfigError, match="method"):
        recipe({**EIGEN, "method": "cp"})


@pytest.mark.slow
def test_the_ready_study_compares_ways_to_cut_at_equal_cost(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "data": {"name": "digits", "limit": 400},
        "model": {"name": "resnet8"},
        "batches": {"size": 32},
        "threads": 1,
        "seeds": [0],
        "stages.1.epochs": 1,
    }
    study = parse(read_yaml(find_recipe("eigen")), source="eigen", changes=changes)
    run(study, tmp_path / "study")
    for way in WAYS:
        for level, ratio in LEVELS.items():
            summary = read_json(tmp_path / "study" / f"cut-{way}-{level}" / "0" / "run.json")["summary"]
            assert ratio <= summary["removed"]["macs"] < ratio + 0.02
    rows = read_json(tmp_path / "study" / "run.json")["summary"]["variants"]
    assert sorted(rows) == sorted(f"cut-{way}-{level}" for way in WAYS for level in LEVELS)
