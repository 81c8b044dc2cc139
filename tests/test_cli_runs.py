"""`secateurs runs`, on run directories of every kind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from secateurs.recipes import is_held, run
from secateurs.recipes._yaml import dump_yaml
from tests.recipes._studies import PRUNE, TRAIN, config, recipe
from tests.test_cli import call, complaint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, a study of two, and a damaged one."""
    path = tmp_path_factory.mktemp("runs")
    run(recipe(TRAIN, PRUNE), path / "one")
    run(recipe({**TRAIN, "epochs": 1}, PRUNE, seeds=[0, 1]), path / "two")
    (path / "bad").mkdir()
    (path / "bad" / "run.json").write_text("{")
    return path


def test_a_table_in_a_pipe_is_whole(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("runs", str(folder)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "run",
        "status",
        "stage",
        "epochs",
        "before",
        "after",
        "params",
        "MACs",
        "time",
        "started",
    ]
    rows = {Path(line.split()[0]).name: line for line in lines[1:]}
    assert "  finished  3 stages " in rows["one"]
    assert rows["one"].count(" %") == 4
    assert "  finished  2 of 2 runs " in rows["two"]
    assert "  damaged " in rows["bad"]
    assert "JSONDecodeError" in lines[-1]


def test_an_autoencoder_is_listed_with_its_bound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = {"type": "prune", "each_axis": 0.2, "kinds": ["hidden"]}
    small = {"name": "vae28", "options": {"filters": [4], "widths": [8], "latent": 2}}
    state = run(recipe({**TRAIN, "epochs": 1, "lr": 0.001}, cut, model=small), tmp_path / "one")
    assert call("runs", str(tmp_path)) == 0
    line = capsys.readouterr().out.splitlines()[1]
    before, after = (state["summary"][side]["test_elbo"] for side in ("before", "after"))
    assert before < 0
    assert f"  {before:.2f} nats  {after:.2f} nats  " in line


def test_members_stand_below_their_study(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("runs", str(folder / "two"), "--members") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [str(folder / "two"), "base/0", "base/1"]


def test_json_holds_every_field(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("runs", str(folder), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["version"] == 1
    by_name = {Path(entry["path"]).name: entry for entry in said["runs"]}
    assert by_name.keys() == {"one", "two", "bad"}
    documented = (Path(__file__).parent.parent / "docs" / "running.md").read_text(encoding="utf-8")
    for key in by_name["one"]:
        assert f"| `{key}` |" in documented
    one = by_name["one"]
    assert (one["kind"], one["status"], one["done"], one["total"], one["epochs"]) == ("run", "finished", 3, 3, 2)
    assert 0 < one["macs_kept"] <= 0.6
    assert [entry["status"] for entry in by_name["two"]["runs"]] == ["finished", "finished"]
    assert (by_name["bad"]["status"], by_name["bad"]["accuracy_after"]) == ("damaged", None)


def test_nothing_found_is_no_error_and_no_such_folder_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("runs") == 0
    assert capsys.readouterr().out == "no runs in runs\n"
    assert call("runs", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"version": 1, "runs": []}
    assert "nowhere: wanted a folder" in complaint(capsys, "runs", "nowhere")


def test_a_run_is_running_until_its_process_is_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "small.yaml").write_text(dump_yaml(config({**TRAIN, "epochs": 100000})))
    command = [sys.executable, "-m", "secateurs", "run", "small.yaml", "--out", "run"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)

    def status() -> str:
        assert call("runs", str(tmp_path), "--json") == 0
        return str(json.loads(capsys.readouterr().out)["runs"][0]["status"])

    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "run" / "metrics.jsonl").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert status() == "running"
        os.kill(process.pid, signal.SIGSTOP)  # asleep is not gone
        assert status() == "running"
    finally:
        process.kill()
        process.wait()
    assert status() == "stopped"


def test_a_lock_says_whether_a_directory_is_held(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    for content in ("", "{", '{"pid": "x"}', "[]"):
        (tmp_path / ".lock").write_text(content)
        assert not is_held(tmp_path)
    (tmp_path / ".lock").write_text('{"pid": 1, "host": "another-machine", "started": "x"}')
    assert is_held(tmp_path)
