"""What a sweep does with its trials: with runs that are only said to have been, and with real ones."""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from secateurs._errors import ConfigError, HeldError, Interrupted, SecateursError
from secateurs.recipes import is_held, locked
from secateurs.reporting import catalogue
from secateurs.sweeps import SweepOptions, run_sweep
from secateurs.sweeps._job import Job, Outcome
from secateurs.sweeps._local import visible_devices
from tests.recipes._studies import read_json, weights
from tests.sweeps._sweeps import RECIPE, finished, here, pretend, result, sweep

RESUME = SweepOptions(resume=True)


def accuracy(job: Job) -> Outcome:
    """The more is removed the worse; seeds differ a little."""
    ratio = job.recipe["stages"][1]["remove"]["macs"]
    return finished(validation_accuracy=1 - ratio + 0.01 * job.recipe["seed"], macs=100 * (1 - ratio))


def failed(error: str = "boom", *, lasting: bool = False) -> Outcome:
    return Outcome(status="failed", figures={}, error=error, lasting=lasting)


def statuses(state: dict[str, Any]) -> list[str]:
    return [trial["status"] for trial in state["trials"]]


def test_every_trial_runs_once_with_every_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = pretend(monkeypatch, accuracy)
    state = run_sweep(sweep(seeds=[0, 2], objectives=["validation_accuracy", "macs"]), tmp_path / "s")
    assert [job.path for job in workers.jobs] == ["0000-0.2/0", "0000-0.2/2", "0001-0.5/0", "0001-0.5/2"]
    assert [trial["figures"] for trial in state["trials"]] == [
        {"validation_accuracy": pytest.approx(0.81), "macs": 80.0},
        {"validation_accuracy": pytest.approx(0.51), "macs": 50.0},
    ]
    assert state["best"] == ["0000-0.2", "0001-0.5"]
    assert state == read_json(tmp_path / "s" / "sweep.json")
    before = len(workers.jobs)
    said: list[str] = []
    again = run_sweep(
        sweep(seeds=[0, 2], objectives=["validation_accuracy", "macs"]),
        tmp_path / "s",
        SweepOptions(resume=True, notify=said.append),
    )
    assert len(workers.jobs) == before
    assert again["trials"] == state["trials"]
    assert "finished already" in said[0]


def test_failed_runs_are_tried_again_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: dict[str, int] = {}

    def becomes(job: Job) -> Outcome:
        tries[job.path] = tries.get(job.path, 0) + 1
        if job.path == "0001-0.5/0":
            return failed(f"boom {tries[job.path]}")
        return accuracy(job) if tries[job.path] > 1 else Outcome(status="lost", figures={}, error="killed")

    pretend(monkeypatch, becomes)
    state = run_sweep(sweep(retries=2), tmp_path / "s")
    assert tries == {"0000-0.2/0": 2, "0001-0.5/0": 3}
    assert statuses(state) == ["finished", "failed"]
    assert state["trials"][0]["runs"][0]["errors"] == ["killed"]
    assert state["trials"][1]["runs"][0]["errors"] == ["boom 1", "boom 2", "boom 3"]
    assert state["status"] == "finished"
    # What failed gets new chances when somebody asks; what has finished is left alone.
    workers = pretend(monkeypatch, accuracy)
    again = run_sweep(sweep(retries=2), tmp_path / "s", RESUME)
    assert [job.path for job in workers.jobs] == ["0001-0.5/0"]
    assert statuses(again) == ["finished", "finished"]


def test_a_machine_that_is_gone_does_not_count_as_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: dict[str, int] = {}

    def becomes(job: Job) -> Outcome:
        tries[job.path] = tries.get(job.path, 0) + 1
        gone = tries[job.path] <= (3 if job.path == "0000-0.2/0" else 99)
        return Outcome(status="gone", figures={}, error="its machine is gone") if gone else accuracy(job)

    pretend(monkeypatch, becomes)
    state = run_sweep(sweep(retries=0), tmp_path / "s")
    assert statuses(state) == ["finished", "failed"]
    assert tries == {"0000-0.2/0": 4, "0001-0.5/0": 11}  # it may take machines along
    assert state["trials"][0]["runs"][0]["errors"] == []


def test_an_error_that_lasts_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = pretend(monkeypatch, lambda job: failed("no such file", lasting=True))
    with pytest.raises(SecateursError, match=r"wanted a trial that finishes, got 2 that failed, 0000-0.2 of: no such"):
        run_sweep(sweep(retries=5), tmp_path / "s")
    assert len(workers.jobs) == 2
    assert read_json(tmp_path / "s" / "run.json")["status"] == "failed"


def test_values_that_make_no_recipe_fail_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, accuracy)
    space = {"stages.1.remove.macs": {"low": 0.5, "high": 1.5, "step": 0.5}}
    with pytest.raises(ConfigError, match=r"stages.1.remove.macs: wanted less than 1"):
        run_sweep(sweep(space=space), tmp_path / "grid")
    state = run_sweep(sweep(space=space, search="random", trials=3, seed=1), tmp_path / "random")
    assert sorted(statuses(state)) == ["failed", "failed", "finished"]
    assert any("less than 1" in error for trial in state["trials"] for error in trial["errors"])


def test_a_trial_that_is_ended_early_takes_its_other_seeds_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def becomes(job: Job) -> Outcome:
        if job.path == "0001-0.5/0":
            return Outcome(status="stopped", figures={}, error="after epoch 2, ...", epoch=2, value=0.1)
        return accuracy(job)

    workers = pretend(monkeypatch, becomes, room=2)
    state = run_sweep(sweep(seeds=[0, 1, 2], stop={"rule": "median"}), tmp_path / "s")
    assert workers.cancelled == ["0001-0.5/1"]
    assert [job.path for job in workers.jobs] == [
        *(f"0000-0.2/{seed}" for seed in range(3)),
        "0001-0.5/0",
        "0001-0.5/1",
    ]
    assert statuses(state) == ["finished", "stopped"]
    assert [run["status"] for run in state["trials"][1]["runs"]] == ["stopped", "stopped", "waiting"]
    assert all(job.stop == {"rule": "median", "after": 1, "least": 4, "factor": 3} for job in workers.jobs)


def test_a_signal_leaves_a_sweep_that_can_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def becomes(job: Job) -> Outcome:
        if job.path.startswith("0001"):
            raise Interrupted(signal.SIGTERM)
        return accuracy(job)

    pretend(monkeypatch, becomes)
    with pytest.raises(Interrupted):
        run_sweep(sweep(), tmp_path / "s")
    assert read_json(tmp_path / "s" / "run.json")["error"] == "interrupted by SIGTERM"
    assert catalogue([tmp_path], held=is_held)[0].status == "stopped"
    workers = pretend(monkeypatch, accuracy)
    state = run_sweep(sweep(), tmp_path / "s", RESUME)
    assert [job.path for job in workers.jobs] == ["0001-0.5/0"]
    assert statuses(state) == ["finished", "finished"]


def test_a_directory_belongs_to_one_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, accuracy)
    run_sweep(sweep(search="random", trials=1, space={"stages.0.lr": [0.1, 0.2, 0.3]}), tmp_path / "s")
    with pytest.raises(ConfigError, match=r"wanted a new or empty directory.*--resume"):
        run_sweep(sweep(), tmp_path / "s")
    with pytest.raises(ConfigError, match=r"space.stages.0.lr"):
        run_sweep(sweep(search="random", trials=1, space={"stages.0.lr": [0.1, 0.2]}), tmp_path / "s", RESUME)
    more = sweep(search="random", trials=3, space={"stages.0.lr": [0.1, 0.2, 0.3]}, workers=2, retries=0)
    assert len(run_sweep(more, tmp_path / "s", RESUME)["trials"]) == 3
    with locked(tmp_path / "t", print), pytest.raises(HeldError):
        run_sweep(sweep(), tmp_path / "t")


def test_a_real_sweep_leaves_ordinary_runs_that_share_their_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, here)
    monkeypatch.setattr("sys.path", [*sys.path])
    state = run_sweep(sweep(objectives=["validation_accuracy", "macs"]), tmp_path / "s")
    assert statuses(state) == ["finished", "finished"]
    first, second = (tmp_path / "s" / trial["runs"][0]["path"] for trial in state["trials"])
    assert read_json(second / "run.json")["stages"][0]["taken_from"] == "0000-0.2/0"
    assert weights(first)["stages/00-train/model.safetensors"] == weights(second)["stages/00-train/model.safetensors"]
    after = read_json(first / "run.json")["summary"]["after"]
    assert state["trials"][0]["figures"]["validation_accuracy"] == after["validation_accuracy"]
    assert state["trials"][0]["figures"]["macs"] == after["macs"] > state["trials"][1]["figures"]["macs"]
    entry = catalogue([tmp_path], held=is_held)[0]
    assert (entry.kind, entry.status, entry.done, entry.total) == ("study", "finished", 2, 2)
    assert "verified" not in (tmp_path / "s" / "logs" / "0000-0.2-0.log").read_text()
    assert (tmp_path / "s" / "logs" / "0000-0.2-0.log").read_text().endswith("finished\n")


CRASH = """
import os, pathlib, signal
import torch

def build():
    mark = pathlib.Path(os.environ["SECATEURS_CRASH"])
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10))
"""


@pytest.mark.slow
def test_a_run_that_the_system_kills_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "crashing_network.py").write_text(CRASH)
    monkeypatch.setenv("SECATEURS_CRASH", str(tmp_path / "mark"))
    monkeypatch.syspath_prepend(str(tmp_path))
    recipe = {
        **RECIPE,
        "model": {"factory": "crashing_network:build"},
        "stages": [{"type": "measure", "latency": False}],
    }
    state = run_sweep(sweep(recipe=recipe, space={"seed": [1]}), tmp_path / "s")
    assert statuses(state) == ["finished"]
    errors = state["trials"][0]["runs"][0]["errors"]
    assert errors == ["its process was killed by SIGKILL, as systems do where memory is out"]


@pytest.mark.parametrize(
    ("slot", "gpus", "expected"), [(0, 0, None), (1, 1, "1"), (5, 1, "1"), (1, 2, "2,3"), (1, 0.5, "0"), (2, 0.5, "1")]
)
def test_slots_share_the_gpus(slot: int, gpus: float, expected: str | None) -> None:
    assert visible_devices(slot, gpus, ["0", "1", "2", "3"]) == expected
    assert visible_devices(slot, 1, []) is None


def test_result_files_hold_plain_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, accuracy)
    state = run_sweep(sweep(space={"model.options.widths": [[16], None]}), tmp_path / "s")
    assert json.loads(json.dumps(state)) == read_json(tmp_path / "s" / "sweep.json")
    assert result(tmp_path / "s")["trials"][0]["values"] == {"model.options.widths": [16]}
