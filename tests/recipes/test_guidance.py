"""Sparse training and distillation in recipes."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from secateurs import Interrupted
from secateurs._errors import ConfigError
from secateurs.recipes import RunOptions, run
from secateurs.recipes.stages import TrainStage, expand
from secateurs.training import Distillation, Penalised
from tests.recipes._studies import MEASURE, PRUNE, TRAIN, read_json, recipe, weights

SMALL: dict[str, Any] = {
    "model": {"name": "resnet8", "options": {"width": 0.5}},
    "data": {"name": "digits", "limit": 200, "validation_ratio": 0.1},
}
LASSO: dict[str, Any] = {**TRAIN, "regularise": {"kind": "group_lasso", "strength": 0.002}}
TAUGHT: dict[str, Any] = {**TRAIN, "name": "retrain", "ema": 0.9, "distil": {"features": {"weight": 0.5}}}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("guidance") / "run"
    run(recipe(LASSO, PRUNE, TAUGHT, **SMALL), path)
    return path


def _results(path: Path) -> dict[str, dict[str, Any]]:
    return {stage["name"]: stage["results"] for stage in read_json(path / "run.json")["stages"]}


def test_a_run_tells_how_many_units_are_small(done: Path) -> None:
    told = _results(done)
    assert 0 <= told["00-train"]["small_units"] <= 1
    assert "small_units" not in told["02-retrain"]


@pytest.mark.slow
def test_a_penalty_and_a_teacher_change_what_is_learned(done: Path, tmp_path: Path) -> None:
    run(recipe(TRAIN, PRUNE, {**TRAIN, "name": "retrain", "ema": 0.9}, **SMALL), tmp_path / "plain")
    guided, plain = weights(done), weights(tmp_path / "plain")
    assert guided.keys() == plain.keys()
    assert all(guided[name] != plain[name] for name in guided)


@pytest.mark.parametrize(("kind", "at"), [pytest.param(Penalised, 8, marks=pytest.mark.slow), (Distillation, 9)])
def test_an_interrupted_run_ends_with_the_same_bytes(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any, at: int
) -> None:
    calls, loss = 0, kind.loss

    def interrupting(self: Any, *args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGINT)
        return loss(self, *args)

    monkeypatch.setattr(kind, "loss", interrupting)
    with pytest.raises(Interrupted):
        run(recipe(LASSO, PRUNE, TAUGHT, **SMALL), tmp_path / "run")
    run(recipe(LASSO, PRUNE, TAUGHT, **SMALL), tmp_path / "run", RunOptions(resume=True))
    assert weights(tmp_path / "run") == weights(done)


@pytest.mark.parametrize(
    "regularise",
    [
        pytest.param({"kind": "bn_scale", "strength": 0.01}, marks=pytest.mark.slow),
        {"kind": "growing", "remove": {"macs": 0.4}, "increment": 0.05, "every": 2},
        pytest.param({"kind": "growing"}, marks=pytest.mark.slow),
        pytest.param({"kind": "group_lasso", "over": "produce", "protect": ["conv1"]}, marks=pytest.mark.slow),
    ],
)
def test_every_kind_of_penalty_runs(tmp_path: Path, regularise: dict[str, Any]) -> None:
    run(recipe({**TRAIN, "epochs": 1, "regularise": regularise}, PRUNE, **SMALL), tmp_path / "run")
    assert "small_units" in _results(tmp_path / "run")["00-train"]


@pytest.mark.slow
def test_a_teacher_from_a_file_teaches_without_a_cut(done: Path, tmp_path: Path) -> None:
    teacher = str(done / "stages" / "00-train" / "model.safetensors")
    train = {**TRAIN, "distil": {"teacher": teacher, "features": {"match": "attention"}}}
    run(recipe(train, **SMALL), tmp_path / "run")
    assert _results(tmp_path / "run")["00-train"]["epochs"] == 2


@pytest.mark.slow
def test_probes_of_a_search_learn_from_the_network_before(tmp_path: Path) -> None:
    search = {
        "type": "search",
        "remove": "macs",
        "levels": [0.3, 0.5],
        "target": 0.0,
        "finetune_budget": 1,
        "train": {"lr": 0.05, "distil": {"features": {}}},
    }
    run(recipe(TRAIN, search, **SMALL), tmp_path / "run")
    assert _results(tmp_path / "run")["01-search"]["level"] == 0.5


def test_stages_that_cut_are_guided_before_and_after() -> None:
    train = {"lr": 0.05, "regularise": {"kind": "bn_scale"}, "distil": {}}

    def told(stage: dict[str, Any]) -> list[tuple[bool, bool]]:
        steps = [step.stage for step in expand(recipe(stage).stages)]
        return [(s.regularise is not None, s.distil is not None) for s in steps if isinstance(s, TrainStage)]

    cut_once = {"type": "finetune_prune", "prune_after": 2, "remove": {"macs": 0.3}, "train": train}
    assert told(cut_once) == [(True, False), (False, True)]
    assert told({**cut_once, "when": "adaptive"}) == [(True, False), (False, True)]
    assert told({**cut_once, "restarts": True}) == [(True, False), (False, True)]
    often = {"type": "train_time", "initial_epochs": 2, "every": 2, "total_epochs": 6, "train": train}
    assert told(often) == [(True, False), (True, True), (False, True)]
    levels = {"type": "levels", "levels": 2, "ratio": 0.2, "train": {**train, "epochs": 1}}
    assert told(levels) == [(True, True), (True, True)]


@pytest.mark.parametrize(
    ("stages", "match"),
    [
        (({**TRAIN, "distil": {}},), "a stage that cuts before 00-train, or `distil.teacher`"),
        (({**TRAIN, "regularise": {"kind": "lasso"}},), "group_lasso"),
        (({**TRAIN, "regularise": {"kind": "group_lasso", "strength": -1}},), "strength"),
        ((PRUNE, {**TRAIN, "distil": {"temprature": 2}}), "temperature"),
        ((PRUNE, {**TRAIN, "distil": {"alpha": 2}}), "alpha"),
        (
            ({"type": "search", "train": {"regularise": {"kind": "bn_scale"}}},),
            "probes train after their cuts",
        ),
    ],
)
def test_recipes_that_cannot_be_meant_are_refused(stages: tuple[dict[str, Any], ...], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        recipe(*stages)


def test_an_autoencoder_has_no_scores_to_learn() -> None:
    with pytest.raises(ConfigError, match="no scores of classes"):
        recipe(PRUNE, {**TRAIN, "distil": {}}, model={"name": "vae28"})


@pytest.mark.parametrize(
    ("train", "match"),
    [
        (
            {"distil": {"teacher": "nowhere.safetensors"}},
            r"00-train.distil.teacher: wanted a file, got none at nowhere",
        ),
        ({"regularise": {"kind": "bn_scale"}, "strategy": "fsdp"}, "'ddp' with regularise"),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_work(tmp_path: Path, train: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match.replace("00-", "")):
        run(recipe({**TRAIN, **train}, MEASURE), tmp_path / "run")


def test_scores_train_without_a_penalty(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"scores\.regularise: wanted none, got group_lasso"):
        run(recipe({**LASSO, "type": "scores"}), tmp_path / "run")
