"""The command, from the line that is typed to what is printed."""

import json
import shlex
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from secateurs._errors import Interrupted
from secateurs.cli import main
from secateurs.cli._main import app
from secateurs.recipes import dump_yaml
from secateurs.sweeps._job import Job, Outcome
from tests.recipes._studies import read_json
from tests.sweeps._sweeps import finished, pretend, sweep


def accuracy(job: Job) -> Outcome:
    ratio = job.recipe["stages"][1]["remove"]["macs"]
    if ratio == 0.7:
        return Outcome(status="failed", figures={}, error="no room: wanted more", lasting=True)
    return finished(validation_accuracy=1 - ratio, macs=1e6 * (1 - ratio), test_accuracy=0.5)


def write(folder: Path) -> Path:
    made = sweep(space={"stages.1.remove.macs": [0.25, 0.5, 0.7]}, objectives=["validation_accuracy", "macs"])
    file = folder / "mine.yaml"
    file.write_text(dump_yaml(made.resolved()))
    return file


def test_the_table_ranks_trials_and_says_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, accuracy)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["sweep", str(write(tmp_path)), "seeds=[3]"])
    assert result.exit_code == 0, result.output
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.output.splitlines() if "000" in line]
    table = [row for row in rows if len(row) > 1]
    assert [row[0] for row in table] == ["* 0000-0.25", "* 0001-0.5", "0002-0.7"]
    assert table[0][1:] == ["macs 0.25", "finished", "75.00%", "750,000", "50.00%"]
    assert "best by max validation_accuracy and min macs: 0000-0.25, 0001-0.5" in result.output
    assert "0002-0.7 failed: no room: wanted more" in result.output
    assert "everything is in runs/tiny" in result.output
    assert "0001-0.5/3 finished: validation_accuracy 50.00%, macs 500,000" in result.stderr
    assert read_json(tmp_path / "runs" / "tiny" / "sweep.json")["best"] == ["0000-0.25", "0001-0.5"]


def test_an_interrupted_sweep_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(job: Job) -> Outcome:
        raise Interrupted(signal.SIGTERM)

    pretend(monkeypatch, interrupt)
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as end:
        main(["sweep", str(write(tmp_path)), "retries=0", "--out", str(out)])
    assert end.value.code == 143
    told = capsys.readouterr().err
    assert f"interrupted by SIGTERM. Go on with: secateurs sweep {shlex.quote(str(tmp_path / 'mine.yaml'))}" in told
    assert told.rstrip().endswith(f"retries=0 --out {shlex.quote(str(out))} --resume")


def test_what_is_wrong_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["sweep", "digit"])
    assert end.value.code == 2
    assert "error: digit: wanted a sweep file or the name of a ready sweep" in capsys.readouterr().err


def test_the_schema_of_sweeps_is_printed() -> None:
    result = CliRunner().invoke(app, ["schema", "--sweep"])
    assert "space" in json.loads(result.stdout)["properties"]


@pytest.mark.slow
def test_the_ready_sweep_runs_as_it_stands(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["sweep", "digits", "--out", str(tmp_path / "s")])
    assert result.exit_code == 0, result.output
    state = read_json(tmp_path / "s" / "sweep.json")
    assert [trial["status"] for trial in state["trials"]] == ["finished"] * 6
    assert all(trial["figures"]["validation_accuracy"] > 0.9 for trial in state["trials"])
