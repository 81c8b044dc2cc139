"""What trackers are told, and that none of them holds a run up: with stand-ins for the services."""

import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from secateurs import SecateursError
from secateurs.recipes import RunOptions, parse, run
from secateurs.recipes.stages import expand
from secateurs.recipes.trackers import About, Status, Tracking, _tracking, trackers_section, where_to_look
from secateurs.recipes.trackers._base import Tracker, flat, numbers
from secateurs.recipes.trackers._courier import Courier
from tests.recipes._studies import PRUNE, TRAIN, config, epochs, read_json, recipe

STEPS = expand(recipe({**TRAIN, "epochs": 3}, PRUNE, {**TRAIN, "epochs": 2}).stages)


def about(folder: Path) -> About:
    return About(id="a1", name="small", study="small", part="", config={"seed": 0}, folder=folder, home=folder)


class Memory:
    """A tracker that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def open(self, about: About) -> None:
        self.told.append(("open", about.id, about.name))

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        self.told.append(("epoch", number, dict(values)))

    def results(self, number: int, values: Mapping[str, float]) -> None:
        self.told.append(("results", number, dict(values)))

    def close(self, status: Status) -> None:
        self.told.append(("close", status))


class Broken(Memory):
    """Fails at the first epoch, as a service does whose network is gone."""

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        raise ConnectionError(f"no route to host\nat epoch {number}")


class Hanging(Memory):
    """Never comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def open(self, about: About) -> None:
        self.released.wait(60)


def tracking(folder: Path, told: list[str], **trackers: Tracker) -> Tracking:
    couriers = [Courier(name, tracker, about(folder)) for name, tracker in trackers.items()]
    return Tracking(couriers, STEPS, told.append)


def test_epochs_are_counted_over_all_stages_and_results_stand_at_their_end(tmp_path: Path) -> None:
    memory, told = Memory(), list[str]()
    seen = tracking(tmp_path, told, memory=memory)
    seen.epoch(
        "00-train", {"epoch": 2, "epochs": 3, "train_loss": 0.5, "validation_loss": None, "lr": 0.1, "seconds": 2}
    )
    seen.stage("00-train", {"epochs": 3, "test_accuracy": 0.9, "note": "x", "flag": True})
    seen.stage("01-prune", {"removed": {"macs": 0.5}, "axes": [{"kept": 3}], "verified": None})
    seen.epoch("02-train", {"epoch": 1, "epochs": 2, "train_loss": 0.25})
    seen.summary({"before": None, "after": {"test_accuracy": 0.8, "latency": [{"median_ms": 1.0}]}})
    seen.close("finished")
    assert memory.told == [
        ("open", "a1", "small"),
        ("epoch", 2, {"train/loss": 0.5, "lr": 0.1, "seconds": 2}),
        ("results", 3, {"00-train/epochs": 3, "00-train/test_accuracy": 0.9}),
        ("results", 3, {"01-prune/removed/macs": 0.5}),
        ("epoch", 4, {"train/loss": 0.25}),
        ("results", 5, {"summary/after/test_accuracy": 0.8}),
        ("close", "finished"),
    ]
    assert told == []


def test_a_tracker_that_fails_is_named_once_and_left_alone(tmp_path: Path) -> None:
    memory, told = Memory(), list[str]()
    seen = tracking(tmp_path, told, broken=Broken(), memory=memory)
    for epoch in range(3):
        seen.epoch("00-train", {"epoch": epoch, "train_loss": 1.0})
    seen.close("finished")
    warning = "warning: no more tracking by broken, the run goes on (ConnectionError: no route to host)"
    assert told == [warning]
    assert [row[1] for row in memory.told if row[0] == "epoch"] == [0, 1, 2]


def test_a_tracker_that_hangs_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_tracking._PATIENCE, "failed", 0.05)
    hanging, memory, told = Hanging(), Memory(), list[str]()
    seen = tracking(tmp_path, told, hanging=hanging, memory=memory)
    for epoch in range(2000):
        seen.epoch("00-train", {"epoch": epoch, "train_loss": 1.0})
    seen.close("failed")
    hanging.released.set()
    assert told == ["warning: hanging did not take everything in time; metrics.jsonl has it"]
    assert len(memory.told) == 2002
    assert memory.told[-1] == ("close", "failed")
    for thread in threading.enumerate():
        if thread.name == "tracker hanging":
            thread.join(60)
    assert hanging.told == []  # given up, it takes nothing any more: another process may have taken over


def test_a_run_tells_everything_in_order_and_only_the_rest_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memories: list[Memory] = []

    def stand_in() -> Memory:
        memories.append(Memory())
        return memories[-1]

    monkeypatch.setattr(_tracking, "TensorBoardTracker", stand_in)
    monkeypatch.setattr("secateurs.recipes._study.check_trackers", lambda section: None)
    study = recipe(TRAIN, PRUNE, {**TRAIN, "name": "retrain"}, trackers=["tensorboard"])

    def stop(line: str) -> None:
        if line.startswith("02-"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(study, tmp_path / "run", RunOptions(notify=stop))
    run(study, tmp_path / "run", RunOptions(resume=True))
    first, second = (memory.told for memory in memories)
    assert first[-1] == ("close", "failed")
    # The second process brings all of it; which of it is there already, each tracker knows for itself.
    assert [row[:2] for row in second[1:]] == [
        ("epoch", 0),
        ("epoch", 1),
        ("results", 2),
        ("results", 2),
        *[("epoch", 2), ("epoch", 3)] * 2,  # once as they come, once with the whole history at the stage's end
        ("results", 4),
        ("results", 4),
        ("results", 4),
        ("close", "finished"),
    ]
    state = read_json(tmp_path / "run" / "run.json")
    assert {told[0][1] for told in (first, second)} == {state["trackers"]["id"]}
    losses = [row[2]["train/loss"] for row in second if row[0] == "epoch"]
    assert len(losses) == len(epochs(tmp_path / "run")) + 2
    assert any("summary/after/test_accuracy" in row[2] for row in second if row[0] == "results")


def test_a_failing_tracker_changes_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tracking, "TensorBoardTracker", Broken)
    monkeypatch.setattr("secateurs.recipes._study.check_trackers", lambda section: None)
    told: list[str] = []
    state = run(recipe(TRAIN, trackers=["tensorboard"]), tmp_path / "run", RunOptions(notify=told.append))
    assert state["status"] == "finished"
    assert sum(line.startswith("warning: no more tracking by tensorboard") for line in told) == 1


def test_a_tracker_that_is_not_installed_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    variants = {"one": {}, "two": {"trackers": ["mlflow"]}}
    with pytest.raises(SecateursError, match=r"trackers\.mlflow: wanted the package mlflow, .*pip install mlflow"):
        run(recipe(TRAIN, variants=variants), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_no_tracker_leaves_no_trace(tmp_path: Path) -> None:
    state = run(recipe({**TRAIN, "epochs": 1}), tmp_path / "run")
    assert "trackers" not in state


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ([], []),
        (["wandb", "mlflow"], ["mlflow", "wandb"]),
        ({"mlflow": {"uri": "sqlite:///x.db"}}, ["mlflow"]),
        ({"tensorboard": {}, "mlflow": None}, ["tensorboard"]),
    ],
)
def test_a_list_and_a_mapping_say_the_same(said: Any, names: list[str]) -> None:
    checked = parse(config(TRAIN, trackers=said), source="small.yaml")
    assert _tracking_names(checked) == names
    assert parse(checked.resolved(), source="again") == checked


def _tracking_names(checked: Any) -> list[str]:
    return list(trackers_section(checked.trackers).names)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (["mlfow"], r"trackers\.0: wanted 'tensorboard', 'mlflow' or 'wandb', got 'mlfow'"),
        ({"mlflow": {"urj": "x"}}, r"trackers\.mlflow\.urj: wanted a known key.*Did you mean 'uri'"),
        ({"wandb": {"mode": "later"}}, r"trackers\.wandb\.mode: wanted 'online' or 'offline', got 'later'"),
        ("mlflow", "trackers: wanted a valid array or a mapping, got 'mlflow'"),
    ],
)
def test_what_makes_no_sense_is_refused(said: Any, message: str) -> None:
    with pytest.raises(SecateursError, match=message):
        parse(config(TRAIN, trackers=said), source="small.yaml")


def test_where_to_look_fits_runs_and_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    said = {"tensorboard": {}, "mlflow": {}, "wandb": {"mode": "offline"}}
    section = trackers_section(parse(config(TRAIN, trackers=said), source="small.yaml").trackers)
    assert where_to_look(section, tmp_path, study=False) == [
        f"tensorboard --logdir {tmp_path}",
        f"mlflow ui --backend-store-uri sqlite:///{tmp_path}/mlflow.db",
        f"wandb sync {tmp_path}/wandb/offline-run-*",
    ]
    assert where_to_look(section, tmp_path, study=True)[2] == f"wandb sync {tmp_path}/*/*/wandb/offline-run-*"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert where_to_look(section, tmp_path, study=False)[1] == "http://host:5000"


def test_nested_values_become_paths() -> None:
    assert flat({"a": {"b": [1, {"c": None, "d": "x"}]}, "e": True}, "") == {"a.b.0": 1, "a.b.1.d": "x", "e": True}
    assert numbers({"a": {"b": 1.5}, "c": [1], "d": "x", "e": False, "f": 2}, "s") == {"s/a/b": 1.5, "s/f": 2}
