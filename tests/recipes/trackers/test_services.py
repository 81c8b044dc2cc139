"""The real services, read back: what is there after a kill and a resumption stands once."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from secateurs.recipes import RunOptions, run
from secateurs.recipes._yaml import dump_yaml
from secateurs.recipes.trackers import _tracking
from tests.recipes._studies import PRUNE, TRAIN, config, epochs, read_json, recipe


@pytest.fixture(autouse=True)
def _no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded machine may take long to make a database; nothing may be given up here."""
    monkeypatch.setattr(_tracking, "_PATIENCE", {"finished": 300.0, "failed": 300.0})


STAGES: tuple[dict[str, Any], ...] = ({**TRAIN, "epochs": 4}, PRUNE, {**TRAIN, "name": "retrain", "epochs": 4})


def losses(folder: Path) -> list[float]:
    """The training loss of every epoch, from metrics.jsonl."""
    return [json.loads(line)["train_loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def accuracies(folder: Path) -> tuple[float, float]:
    """Test accuracy before and after, from run.json."""
    summary = read_json(folder / "run.json")["summary"]
    return summary["before"]["test_accuracy"], summary["after"]["test_accuracy"]


def killed_and_resumed(folder: Path, trackers: Any) -> Path:
    """A run that was killed in its second training, stopped after it, and resumed to its end."""
    recipe_ = config(*STAGES, trackers=trackers)
    (folder / "small.yaml").write_text(dump_yaml(recipe_))
    command = [sys.executable, "-m", "secateurs", "run", "small.yaml", "--out", "run"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if (folder / "run" / "metrics.jsonl").exists() and ("02-retrain", 1) in epochs(folder / "run"):
            os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.002)
    assert process.wait() == -signal.SIGKILL, (folder / "log").read_text()

    def stop(line: str) -> None:
        if line.startswith("03-"):
            raise KeyboardInterrupt

    path = folder / "run"
    with pytest.raises(KeyboardInterrupt):
        run(recipe(*STAGES, trackers=trackers), path, RunOptions(resume=True, notify=stop))
    assert run(recipe(*STAGES, trackers=trackers), path, RunOptions(resume=True))["status"] == "finished"
    return path


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    path = killed_and_resumed(tmp_path, ["tensorboard"])
    found = EventAccumulator(str(path / "tensorboard"), size_guidance={"scalars": 0, "tensors": 0})
    found.Reload()
    points = found.Scalars("train/loss")
    assert [point.step for point in points] == list(range(8))
    assert [point.value for point in points] == pytest.approx(losses(path))
    assert [(point.step, point.value) for point in found.Scalars("summary/after/test_accuracy")] == [
        (8, pytest.approx(accuracies(path)[1]))
    ]
    assert [point.step for point in found.Scalars("01-prune/removed/macs")] == [4]
    assert "recipe/text_summary" in found.Tags()["tensors"]
    assert b"stages.0.epochs" in found.Tensors("recipe/text_summary")[0].tensor_proto.string_val[0]


def test_mlflow(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    path = killed_and_resumed(tmp_path, ["mlflow"])
    client = MlflowClient(tracking_uri=f"sqlite:///{path / 'mlflow.db'}")
    (experiment,) = [found for found in client.search_experiments() if found.name == "small"]
    (tracked,) = client.search_runs([experiment.experiment_id])
    assert (tracked.info.status, tracked.info.run_name) == ("FINISHED", "run")
    assert tracked.data.params["stages.0.epochs"] == "4"
    assert tracked.data.params["model.options.widths.0"] == "32"
    history = client.get_metric_history(tracked.info.run_id, "train/loss")
    assert [point.step for point in history] == list(range(8))
    assert [point.value for point in history] == losses(path)
    after = client.get_metric_history(tracked.info.run_id, "summary/after/test_accuracy")
    assert [(point.step, point.value) for point in after] == [(8, accuracies(path)[1])]
    assert client.get_metric_history(tracked.info.run_id, "01-prune/removed/macs")[0].value >= 0.4
    assert not (tmp_path / "mlruns").exists()


def test_a_kill_while_mlflow_makes_its_tables_leaves_no_half_of_them(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    make = (
        "from pathlib import Path; from secateurs.recipes.trackers import _mlflow; import mlflow; print(flush=True); "
    )
    make += f"_mlflow._make_database(Path({str(tmp_path / 'mlflow.db')!r}))"
    for delay in (0.3, 0.6):
        with subprocess.Popen(
            [sys.executable, "-c", make], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay)
            process.kill()
    subprocess.run([sys.executable, "-c", make], check=True, capture_output=True)
    found = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}").search_experiments()
    assert [experiment.name for experiment in found] == ["Default"]


def test_mlflow_keeps_the_runs_of_a_study_together(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    run(recipe({**TRAIN, "epochs": 1}, seeds=[0, 1], trackers=["mlflow"]), tmp_path / "study")
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'study' / 'mlflow.db'}")
    (experiment,) = [found for found in client.search_experiments() if found.name == "small"]
    tracked = client.search_runs([experiment.experiment_id], order_by=["attributes.run_name"])
    assert [found.info.run_name for found in tracked] == ["study/base/0", "study/base/1"]
    assert [found.data.params["seed"] for found in tracked] == ["0", "1"]


def test_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    path = killed_and_resumed(tmp_path, {"wandb": {"mode": "offline"}})
    name = read_json(path / "run.json")["trackers"]["id"]
    files = sorted(path.glob(f"wandb/offline-run-*-{name}/run-{name}.wandb"))
    assert len(files) == 3
    records = [record for file in files for record in wandb_records(file)]
    rows = [items(record.history.item) for record in records if record.HasField("history")]
    assert [row["_step"] for row in rows] == list(range(8))
    assert [row["train/loss"] for row in rows] == losses(path)
    summary = [items(record.summary.update) for record in records if record.HasField("summary")]
    flat = {key: value for update in summary for key, value in update.items()}
    assert flat["summary/after/test_accuracy"] == accuracies(path)[1]
    assert {record.run.run_id for record in records if record.HasField("run")} == {name}
    (first, *_) = [record.run for record in records if record.HasField("run")]
    assert (first.project, items(first.config.update)["stages"][0]["epochs"]) == ("small", 4)


def items(rows: Any) -> dict[str, Any]:
    """Key and value of what W&B calls items."""
    return {"/".join([row.key, *row.nested_key]).strip("/"): json.loads(row.value_json) for row in rows}


def wandb_records(file: Path) -> list[Any]:
    """Every record of a file that W&B wrote offline: blocks of 32 KiB after 7 bytes, as in LevelDB's logs."""
    from wandb.proto import wandb_internal_pb2

    content, place, whole, found = file.read_bytes(), 7, b"", []
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:  # too little for a header is filled with zeros
            place += 32768 - place % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            found.append(wandb_internal_pb2.Record.FromString(whole))
            whole = b""
    return found


def test_wandb_without_a_key_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    from secateurs import SecateursError

    with pytest.raises(SecateursError, match=r"trackers\.wandb: wanted a key for W&B, got none.*mode=offline"):
        run(recipe(TRAIN, trackers=["wandb"]), tmp_path / "run")
    assert not (tmp_path / "run").exists()
