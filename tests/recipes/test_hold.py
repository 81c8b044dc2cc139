"""Rounds that keep to a limit: what is kept, what is undone and left out, and runs that are interrupted."""

from pathlib import Path
from typing import Any

import pytest

from secateurs._errors import ConfigError
from secateurs.recipes import RunOptions, run
from secateurs.recipes._figures import validation_figures
from secateurs.recipes.stages import HoldStage, PruneStage, TrainStage, expand
from tests.recipes._studies import PRUNE, TRAIN, read_json, recipe, weights

DATA = {"name": "digits", "limit": 200, "validation_ratio": 0.2}
QUICK: dict[str, Any] = {**TRAIN, "epochs": 1, "name": "retrain"}
ROUND: dict[str, Any] = {**PRUNE, "remove": {"params": 0.3}}
ROUNDS: dict[str, Any] = {"type": "repeat", "times": 3, "hold": {"accuracy_drop": 0.05}, "stages": [ROUND, QUICK]}
STAGES = (TRAIN, ROUNDS, {**QUICK, "name": "last"})
NAMES = ["00-train", "01-hold", "02-prune", "03-retrain", "04-hold", "05-prune", "06-retrain", "07-hold", "08-prune"]


@pytest.fixture
def accuracies(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What each look is to see, by its name."""
    seen: dict[str, float] = {}

    def told(session: Any, model: Any) -> dict[str, Any]:
        figures = validation_figures(session, model)
        current = next(each["name"] for each in session.directory.state["stages"] if each["status"] == "running")
        return {**figures, "validation_accuracy": seen.get(current, figures["validation_accuracy"])}

    monkeypatch.setattr("secateurs.recipes.stages._hold.validation_figures", told)
    return seen


def stages(path: Path) -> dict[str, dict[str, Any]]:
    return {stage["name"]: stage["results"] for stage in read_json(path / "run.json")["stages"]}


def test_looks_stand_before_and_behind_every_round() -> None:
    steps = expand(recipe(*STAGES, data=DATA).stages)
    assert [step.name for step in steps] == [*NAMES, "09-retrain", "10-hold", "11-last", "12-measure"]
    looks = [step.stage for step in steps if isinstance(step.stage, HoldStage)]
    assert [(look.back, look.rest) for look in looks] == [(0, 9), (3, 6), (3, 3), (3, 0)]
    assert not any(step.name.endswith("hold") for step in expand(recipe({**ROUNDS, "times": 0}).stages))
    inner = recipe({**ROUNDS, "stages": [{"type": "repeat", "times": 2, "stages": [ROUND, QUICK]}]}, data=DATA)
    assert [look.stage.back for look in expand(inner.stages) if isinstance(look.stage, HoldStage)] == [0, 5, 5, 5]
    spread = recipe(TRAIN, {**ROUNDS, "schedule": "linear"}, data=DATA)
    parts = [step.stage.part for step in expand(spread.stages) if isinstance(step.stage, PruneStage)]
    assert [part.cut for part in parts if part] == [1, 2, 3]


def test_a_round_that_costs_too_much_is_undone_and_no_other_follows(
    tmp_path: Path, accuracies: dict[str, float]
) -> None:
    accuracies |= {"01-hold": 0.9, "04-hold": 0.85, "07-hold": 0.84}
    run(recipe(*STAGES, data=DATA), tmp_path / "run")
    found = stages(tmp_path / "run")
    assert found["04-hold"] == {"validation_accuracy": 0.85, "first": 0.9, "kept": True}
    assert found["07-hold"]["undone"] == ["05-prune", "06-retrain"]
    assert [name for name, results in found.items() if "left_out" in results] == ["08-prune", "09-retrain", "10-hold"]
    assert found["12-measure"]["after"]["params"] == found["02-prune"]["after"]["params"]
    assert found["12-measure"]["after"]["params"] > found["05-prune"]["after"]["params"]
    summary = read_json(tmp_path / "run" / "run.json")["summary"]
    assert summary["removed"]["params"] == pytest.approx(found["02-prune"]["removed"]["params"])
    assert summary["asked"] == pytest.approx({"params": 0.3})


def test_the_last_training_begins_where_the_limit_was_kept(tmp_path: Path, accuracies: dict[str, float]) -> None:
    """As if the rounds that were undone had never been."""
    accuracies |= {"01-hold": 0.9, "04-hold": 0.9, "07-hold": 0.1}
    run(recipe(*STAGES, data=DATA), tmp_path / "run")
    short = {"type": "repeat", "times": 0, "stages": [QUICK]}
    last = {**QUICK, "name": "last"}
    run(recipe(TRAIN, {**ROUNDS, "times": 1}, short, last, data=DATA), tmp_path / "one")
    assert read_json(tmp_path / "one" / "run.json")["stages"][3]["results"]["epochs"] == 1
    kept = tmp_path / "run" / "stages" / "03-retrain" / "model.safetensors"
    assert kept.read_bytes() == (tmp_path / "one" / "stages" / "03-retrain" / "model.safetensors").read_bytes()
    assert stages(tmp_path / "run")["11-last"]["epochs"] == 1


@pytest.mark.parametrize("at", ["06-retrain", pytest.param("11-last", marks=pytest.mark.slow)])
def test_a_resumed_run_goes_back_too(
    tmp_path: Path, accuracies: dict[str, float], monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    accuracies |= {"01-hold": 0.9, "04-hold": 0.9, "07-hold": 0.1}
    run(recipe(*STAGES, data=DATA), tmp_path / "whole")
    original = TrainStage.run

    def failing(self: TrainStage, session: Any, step: Any) -> Any:
        if step.name == at:
            raise RuntimeError("the power is gone")
        return original(self, session, step)

    monkeypatch.setattr(TrainStage, "run", failing)
    with pytest.raises(RuntimeError, match="power"):
        run(recipe(*STAGES, data=DATA), tmp_path / "again")
    monkeypatch.setattr(TrainStage, "run", original)
    run(recipe(*STAGES, data=DATA), tmp_path / "again", RunOptions(resume=True))
    assert weights(tmp_path / "again") == weights(tmp_path / "whole")
    assert stages(tmp_path / "again")["12-measure"]["after"]["params"] > 0


def test_limits_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one of them"):
        recipe({**ROUNDS, "hold": {}})
    with pytest.raises(ConfigError, match="no stage that makes masks"):
        recipe({**ROUNDS, "stages": [{"type": "scores", "epochs": 1}]})
    with pytest.raises(ConfigError, match="keep_optimizer"):
        recipe(TRAIN, {**ROUNDS, "stages": [{**ROUND, "keep_optimizer": True}, QUICK]})
    with pytest.raises(ConfigError, match=r"hold\.worsening"):
        recipe(ROUNDS, model={"name": "vae28", "options": {"filters": [4], "widths": [20, 10], "latent": 3}})
    with pytest.raises(ConfigError, match="validation images"):
        run(recipe(*STAGES, data={**DATA, "validation_ratio": 0}), tmp_path / "run")
