"""The stage `gates`: both phases, what they leave, cuts around them, and runs that are interrupted."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from secateurs import Interrupted, dynamic, load, models
from secateurs._files import load_tensors
from secateurs.dynamic import Reinforce, gates_of
from secateurs.recipes import RunOptions, run
from secateurs.recipes.stages import expand
from secateurs.recipes.stages._gate_phase import GatesReinforceStage
from secateurs.reporting._gates import gates_figure, last_gates, route_sheet, routes_figure
from secateurs.reporting._record import read_run
from tests.recipes._studies import PRUNE, TRAIN, read_json, recipe, weights

SMALL: dict[str, Any] = {
    "model": {"name": "resnet8", "options": {"width": 0.5}},
    "data": {"name": "digits", "limit": 200, "validation_ratio": 0.1},
}
GATES: dict[str, Any] = {
    "type": "gates",
    "costs": "macs",
    "bias": 0.5,
    "supervised": {"epochs": 1, "penalty": 0.2, "train": {"lr": 0.05}},
    "reinforce": {"epochs": 2, "alpha": 2.0, "rl_weight": 1.0, "train": {"lr": 0.02}},
}
STAGES = (TRAIN, GATES, {**PRUNE, "protect": [dynamic.GATES]}, {**TRAIN, "epochs": 1, "name": "retrain"})
SUPERVISED, REINFORCE = "01-gates-supervised", "02-gates-reinforce"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gates") / "run"
    run(recipe(*STAGES, **SMALL), path)
    return path


def test_phases_are_trainings() -> None:
    names = [step.name for step in expand(recipe(*STAGES, **SMALL).stages)]
    assert names == ["00-train", SUPERVISED, REINFORCE, "03-prune", "04-retrain", "05-measure"]
    with pytest.raises(Exception, match="`supervised`, `reinforce`, or both"):
        recipe({"type": "gates", "supervised": None, "reinforce": None})
    alone = expand(recipe({"type": "gates", "supervised": None}).stages)[0].stage
    assert isinstance(alone, GatesReinforceStage)
    assert (alone.lr, alone.rewards.alpha, alone.rewards.gamma, alone.rewards.rl_weight) == (1e-4, 0.1, 1.0, 0.01)


def test_a_run_tells_what_gates_decide(done: Path) -> None:
    stages = {stage["name"]: stage["results"] for stage in read_json(done / "run.json")["stages"]}
    for name in (SUPERVISED, REINFORCE, "05-measure"):
        told = stages[name]["gates"]
        assert told["blocks"] == ["layer2.0", "layer3.0"]
        assert told["macs"] - told["expected_macs"] >= 0
        assert len(told["depths"]) == 3
        assert told["blocks_run"] == pytest.approx((sum(told["rates"]) + 1) / 3)
    rows = read_run(done).epochs
    assert [set(row["figures"]) for row in rows] == [set(), set(), *3 * [{"computed"}], set()]
    assert stages["05-measure"]["after"]["expected_macs"] <= stages["05-measure"]["after"]["macs"]
    assert stages["03-prune"]["verified"] < 1e-9
    tensors, _ = load_tensors(done / "stages" / REINFORCE / "routes.safetensors")
    images = int(stages["05-measure"]["after"]["test_images"])
    assert tensors["runs"].shape == (images, 2)
    assert tensors["shortest_images"].shape == tensors["longest_images"].shape
    assert (tensors["shortest_depths"] <= tensors["longest_depths"]).all()


def test_pictures_show_rates_and_images(done: Path) -> None:
    run_record = read_run(done)
    told, sheet = last_gates(run_record), route_sheet(run_record)
    assert told is not None
    assert sheet is not None
    bars = gates_figure(run_record, told).axes[0].patches
    assert [bar.get_height() for bar in bars] == told["rates"]
    figure = routes_figure(run_record, told, sheet)
    assert len(figure.axes[0].get_yticklabels()) == len(sheet["classes"])
    assert {"gates.png", "routes.png"} <= {path.name for path in (done / "plots").iterdir()}


def test_a_gated_and_cut_network_is_loaded_with_the_plain_factory(done: Path) -> None:
    model = load(
        done / "stages" / "04-retrain" / "model.safetensors", lambda: models.build("resnet8", width=0.5, channels=1)
    )
    assert list(gates_of(model)) == ["layer2.0", "layer3.0"]
    with torch.no_grad():
        assert model.eval()(torch.randn(3, 1, 8, 8)).shape == (3, 10)


@pytest.mark.parametrize("at", [3, pytest.param(8, marks=pytest.mark.slow)])
def test_an_interrupted_run_ends_with_the_same_bytes(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    calls = 0
    begin_step = Reinforce.begin_step

    def interrupting(self: Reinforce, key: int, images: int, part: slice) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGINT)
        begin_step(self, key, images, part)

    monkeypatch.setattr(Reinforce, "begin_step", interrupting)
    with pytest.raises(Interrupted):
        run(recipe(*STAGES, **SMALL), tmp_path / "run")
    assert read_json(tmp_path / "run" / "run.json")["stages"][2]["status"] != "finished"
    run(recipe(*STAGES, **SMALL), tmp_path / "run", RunOptions(resume=True))
    assert weights(tmp_path / "run") == weights(done)


@pytest.mark.slow
def test_a_network_that_was_cut_before_gets_gates(tmp_path: Path) -> None:
    supervised = {**GATES, "head": "ff2", "reinforce": None}
    run(recipe(TRAIN, PRUNE, supervised, **SMALL), tmp_path / "run")
    state = read_json(tmp_path / "run" / "run.json")
    cut, trained = (state["stages"][number]["results"] for number in (1, 2))
    told = trained["gates"]
    assert told["macs"] - told["gate_macs"] == cut["after"]["macs"]
    model = load(
        tmp_path / "run/stages/02-gates-supervised/model.safetensors",
        lambda: models.build("resnet8", width=0.5, channels=1),
    )
    assert len(gates_of(model)) == 2
