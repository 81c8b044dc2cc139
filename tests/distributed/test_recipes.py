"""Whole recipes on two ranks, against one process; and what happens when a rank is lost."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from secateurs.masks import UnitMasks
from tests.distributed._recipes import child, command, finished, recipe, same, start, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process leaves of the same recipe."""
    folder = tmp_path_factory.mktemp("alone")
    finished(command(recipe(folder), folder / "run", "devices=1"))
    return folder / "run"


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process leaves of a training that is long enough to be disturbed."""
    folder = tmp_path_factory.mktemp("long")
    finished(command(recipe(folder, epochs=60), folder / "run", "devices=1"))
    return folder / "run"


def state(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "run.json").read_text())
    return found


def test_a_recipe_gives_on_two_ranks_what_it_gives_on_one(tmp_path: Path, alone: Path) -> None:
    errors = finished(command(recipe(tmp_path), tmp_path / "run"))
    same(alone, tmp_path / "run")
    found, wanted = state(tmp_path / "run"), state(alone)
    assert found["summary"]["after"] == wanted["summary"]["after"]
    assert found["status"] == "finished"
    # One rank writes and talks.
    assert errors.count("00-train: train") == 1
    assert errors.count("epoch 1/2") == 1
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 3
    names = {path.relative_to(tmp_path / "run") for path in (tmp_path / "run").rglob("*")}
    assert names == {path.relative_to(alone) for path in alone.rglob("*")}


def test_a_subset_with_a_head_of_its_own_on_two_ranks(tmp_path: Path) -> None:
    changes = ("data.classes=[0, 1, 2, 3]", "data.limit=500", "model.head=subset")
    finished(command(recipe(tmp_path), tmp_path / "one", "devices=1", *changes))
    finished(command(recipe(tmp_path), tmp_path / "two", *changes))
    same(tmp_path / "one", tmp_path / "two")
    assert state(tmp_path / "one")["summary"]["after"] == state(tmp_path / "two")["summary"]["after"]
    assert state(tmp_path / "two")["classes"] == ["0", "1", "2", "3"]


def test_torchrun_may_start_the_ranks(tmp_path: Path, alone: Path) -> None:
    arguments = command(recipe(tmp_path), tmp_path / "run")[1:]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    finished([*torchrun, *arguments])
    same(alone, tmp_path / "run")


def test_a_study_runs_on_two_ranks(tmp_path: Path) -> None:
    file = recipe(tmp_path, epochs=1, seeds=[0, 1], variants={"half": {}, "third": {"stages.1.remove.params": 0.3}})
    finished(command(file, tmp_path / "run"))
    found = state(tmp_path / "run")
    assert found["status"] == "finished"
    assert [run["path"] for run in found["runs"]] == ["half/0", "half/1", "third/0", "third/1"]
    assert all(state(tmp_path / "run" / run["path"])["status"] == "finished" for run in found["runs"])


def test_a_killed_rank_ends_the_run_and_resuming_is_right(tmp_path: Path, long: Path) -> None:
    file, out = recipe(tmp_path, epochs=60), tmp_path / "run"
    process = start(command(file, out))
    metrics = out / "metrics.jsonl"
    wait_for(lambda: metrics.exists() and len(metrics.read_text().splitlines()) > 2, process)
    os.kill(child(process, 1), signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "error: rank 1: wanted" in errors
    assert "got killed by SIGKILL" in errors
    assert "go on with --resume" in errors
    finished(command(file, out, "--resume"))
    same(long, out)
    assert state(out)["resumes"] == 1


def test_a_rank_that_hangs_ends_the_run(tmp_path: Path) -> None:
    file, out = recipe(tmp_path, epochs=3000, timeout_s=3.0), tmp_path / "run"
    process = start(command(file, out))
    wait_for((out / "metrics.jsonl").exists, process)
    hung = child(process, 1)
    os.kill(hung, signal.SIGSTOP)
    try:
        wait_for(lambda: state(out)["status"] == "failed", process)
    finally:
        os.kill(hung, signal.SIGCONT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "wanted an answer of the other ranks" in errors
    assert "RankError" not in state(out)["error"]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_saves_a_step_on_which_all_ranks_agree(tmp_path: Path, long: Path, name: str) -> None:
    file, out = recipe(tmp_path, epochs=60), tmp_path / "run"
    process = start(command(file, out))
    wait_for((out / "metrics.jsonl").exists, process)
    process.send_signal(signal.Signals[name])
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.Signals[name]
    assert "--resume" in errors
    assert (out / "stages" / "00-train" / "checkpoint.safetensors").exists()
    finished(command(file, out, "--resume"))
    same(long, out)


def test_what_one_rank_refuses_all_refuse_once(tmp_path: Path) -> None:
    stages = [{"type": "prune", "remove": {"params": 0.99}, "floor": 0.9}]
    errors = finished(command(recipe(tmp_path, stages=stages), tmp_path / "run"), code=2)
    assert errors.count("error:") == 1
    assert state(tmp_path / "run")["status"] == "failed"
    assert "Traceback" not in errors


def test_the_ready_study_runs_on_two_ranks(tmp_path: Path) -> None:
    quick = ["stages.0.epochs=1", "stages.2.epochs=1", "devices=2", "device=cpu"]
    finished([sys.executable, "-m", "secateurs", "run", "quickstart", *quick, "--out", str(tmp_path / "run")])
    assert state(tmp_path / "run")["summary"]["verified"] < 1e-9


def test_masks_are_learned_on_two_ranks_as_on_one(tmp_path: Path) -> None:
    stages = [
        {"type": "train", "epochs": 1, "lr": 0.05, "precision": "32"},
        {"type": "scores", "epochs": 2, "lr": 0.5, "precision": "32", "mask": {"protect": ["linear_last"]}},
        {"type": "finetune", "epochs": 1, "lr": 0.02, "precision": "32"},
        {"type": "compact"},
        {"type": "measure", "latency": False},
    ]
    file = recipe(tmp_path, stages=stages)
    finished(command(file, tmp_path / "one", "devices=1"))
    finished(command(file, tmp_path / "two"))
    one, two = (UnitMasks.load(tmp_path / name / "stages/01-scores/masks.safetensors") for name in ("one", "two"))
    assert all(torch.equal(kept, two.units[name]) for name, kept in one.units.items())
    first, second = state(tmp_path / "one"), state(tmp_path / "two")
    assert first["stages"][3]["results"]["removed"] == second["stages"][3]["results"]["removed"]
    assert second["stages"][3]["results"]["masked_difference"] < 1e-5


SCHEDULES: dict[str, dict[str, Any]] = {
    "mlp": {"train": {"lr": 0.05, "precision": "32"}},
    "vae28": {
        "protect": ["decoder.spread"],
        "train": {"optimizer": "adam", "lr": 0.003, "weight_decay": 0.0, "precision": "32"},
    },
}
OPTIONS: dict[str, dict[str, Any]] = {
    "mlp": {"widths": [24]},
    "vae28": {"filters": [4], "widths": [20, 10], "latent": 3},
}


@pytest.mark.parametrize("network", sorted(OPTIONS))
def test_networks_are_cut_while_they_train_on_two_ranks_as_on_one(tmp_path: Path, network: str) -> None:
    contribution = {"name": "contribution", "options": {"maximum": 0.5}}
    schedule = {"type": "train_time", "initial_epochs": 2, "every": 1, "total_epochs": 4, "criterion": contribution}
    stages = [{**schedule, "kinds": ["hidden"], **SCHEDULES[network]}, {"type": "measure", "latency": False}]
    file = recipe(tmp_path, model={"name": network, "options": OPTIONS[network]}, stages=stages)
    finished(command(file, tmp_path / "one", "devices=1"))
    finished(command(file, tmp_path / "two"))
    for cut in ("01-prune", "03-prune"):
        one, two = (json.loads((tmp_path / name / "stages" / cut / "plan.json").read_text()) for name in ("one", "two"))
        assert one["removed"] == two["removed"]
        assert any(one["removed"].values())
    first, second = (state(tmp_path / name)["summary"]["after"] for name in ("one", "two"))
    assert first.pop("uncounted") == second.pop("uncounted")
    assert second == pytest.approx(first, rel=1e-5)
