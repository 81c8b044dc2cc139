"""Killed at random moments, a sweep ends with the files of one that was left alone."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from secateurs.recipes import dump_yaml
from tests.recipes._studies import epochs, weights
from tests.sweeps._sweeps import RECIPE, result, sweep

LONG = {**RECIPE, "stages": [{**RECIPE["stages"][0], "epochs": 12}, *RECIPE["stages"][1:]]}
SWEEPS = {
    "grid": sweep(recipe=LONG, space={"stages.0.lr": [0.02, 0.1], "stages.1.remove.macs": [0.3, 0.6]}),
    "optuna": sweep(
        recipe=LONG,
        search="optuna",
        trials=4,
        startup=2,
        space={"stages.0.lr": {"low": 0.001, "high": 0.3, "log": True}},
        stop={"rule": "halving", "after": 3, "factor": 2},
    ),
}


def rows(home: Path) -> int:
    """Epochs noted so far, over all runs."""
    return sum(file.read_text().count("\n") for file in home.glob("*/*/metrics.jsonl"))


def kept(run: Path) -> dict[str, bytes]:
    """Its weight files, but for checkpoints of a training that was ended early, which hold times."""
    return {name: content for name, content in weights(run).items() if "checkpoint" not in name}


def attempt(file: Path, home: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "secateurs", "sweep", str(file), "--out", str(home), "--resume"]
    with home.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def kill_at(process: subprocess.Popen[bytes], home: Path, most: int) -> bool:
    """Kill the process once so many epochs are noted; false where it has ended before."""
    while process.poll() is None:
        if rows(home) >= most:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.002)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SWEEPS))
def test_a_sweep_that_is_killed_ends_like_one_that_was_not(name: str, tmp_path: Path) -> None:
    file, draw = tmp_path / "sweep.yaml", random.Random(name)
    file.write_text(dump_yaml(SWEEPS[name].resolved()))
    left_alone, killed = tmp_path / "left_alone", tmp_path / "killed"
    assert attempt(file, left_alone).wait() == 0, (tmp_path / "left_alone.log").read_text()
    total, kills = rows(left_alone), 0
    for most in sorted(draw.randint(1, total - 2) for _ in range(3)):
        process = attempt(file, killed)
        kills += kill_at(process, killed, most)
    assert attempt(file, killed).wait() == 0, (tmp_path / "killed.log").read_text()
    assert kills >= 2
    assert result(killed) == result(left_alone)
    for trial in result(killed)["trials"]:
        for run in trial["runs"]:
            one, other = killed / run["path"], left_alone / run["path"]
            assert kept(one) == kept(other)
            assert epochs(one) == epochs(other)
