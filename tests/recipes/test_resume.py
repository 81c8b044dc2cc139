"""Runs that are really killed, and end as if they had not been."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from secateurs.recipes import RunOptions, run
from secateurs.recipes._lock import LOCK_FILE
from secateurs.recipes._yaml import dump_yaml
from tests.recipes._studies import PRUNE, TRAIN, config, epochs, read_json, recipe, weights

STAGES: tuple[dict[str, Any], ...] = (
    {**TRAIN, "epochs": 6},
    {**PRUNE, "keep_optimizer": True},
    {**TRAIN, "name": "retrain", "epochs": 6},
)
SMALL = {"model": {"name": "resnet8", "options": {"width": 0.5}}, "batches": {"size": 32, "crop": 1}}
PLACES = [(stage, epoch) for stage in ("00-train", "02-retrain") for epoch in range(6)]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "whole"
    run(recipe(*STAGES, **SMALL), path)
    return path


def start(folder: Path) -> "subprocess.Popen[bytes]":
    """The command line, running in a process of its own."""
    (folder / "small.yaml").write_text(dump_yaml(config(*STAGES, **SMALL)))
    command = [sys.executable, "-m", "secateurs", "run", "small.yaml", "--out", "run", "--resume"]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)


def kill_after(process: "subprocess.Popen[bytes]", folder: Path, place: tuple[str, int]) -> None:
    """SIGKILL as soon as `place` is in the log of epochs."""
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if (folder / "run" / "metrics.jsonl").exists() and place in epochs(folder / "run"):
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.005)
    assert process.wait() == -signal.SIGKILL, (folder / "log").read_text()


@pytest.mark.parametrize("place", [("00-train", 1), ("02-retrain", 2)])
def test_a_killed_run_ends_with_the_same_bytes(uninterrupted: Path, tmp_path: Path, place: tuple[str, int]) -> None:
    kill_after(start(tmp_path), tmp_path, place)
    state = read_json(tmp_path / "run" / "run.json")
    assert state["status"] == "running"
    running = [stage["name"] for stage in state["stages"] if stage["status"] == "running"]
    assert running == [place[0]]
    run(recipe(*STAGES, **SMALL), tmp_path / "run", RunOptions(resume=True))
    assert weights(tmp_path / "run") == weights(uninterrupted)
    assert epochs(tmp_path / "run") == PLACES
    state = read_json(tmp_path / "run" / "run.json")
    assert (state["status"], state["resumes"]) == ("finished", 1)
    assert (
        state["summary"]["after"]["test_accuracy"]
        == read_json(uninterrupted / "run.json")["summary"]["after"]["test_accuracy"]
    )
    assert not list((tmp_path / "run").rglob("checkpoint*"))


@pytest.mark.slow
def test_kills_at_any_moment_lose_nothing(uninterrupted: Path, tmp_path: Path) -> None:
    moments = random.Random(0)
    for _ in range(8):
        process = start(tmp_path)
        try:
            process.wait(timeout=moments.uniform(2.5, 5.0))
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()
    run(recipe(*STAGES, **SMALL), tmp_path / "run", RunOptions(resume=True))
    assert weights(tmp_path / "run") == weights(uninterrupted)
    assert epochs(tmp_path / "run") == PLACES


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_exits_and_says_how_to_go_on(number: signal.Signals, code: int, tmp_path: Path) -> None:
    process = start(tmp_path)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait() == code
    log = (tmp_path / "log").read_text()
    said = f"error: interrupted by {number.name}. The last good checkpoint, run/stages/00-train/checkpoint.safetensors"
    assert said in log
    assert "Go on with: secateurs run small.yaml --out run --resume" in log
    assert "Traceback" not in log
    state = read_json(tmp_path / "run" / "run.json")
    assert (state["status"], state["error"]) == ("failed", f"interrupted by {number.name}")
    assert not (tmp_path / "run" / LOCK_FILE).exists()
