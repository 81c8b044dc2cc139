"""What a person sees of a study, on a terminal and in a log."""

import io
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from secateurs.recipes import RunOptions, run
from secateurs.recipes._outlook import Job, Outlook
from secateurs.recipes._progress import StudyProgress
from secateurs.training import EpochRecord
from tests.recipes._studies import PRUNE, TRAIN, recipe

JOBS = [
    Job(run=run, stage=stage, type=kind, epochs=epochs)
    for run in ("a/0", "a/1")
    for stage, kind, epochs in (("00-train", "train", 4), ("01-prune", "prune", 0))
]


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def record(epoch: int) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        epochs=4,
        lr=0.1,
        train_loss=0.5,
        train_accuracy=0.75,
        validation_loss=None,
        validation_accuracy=None,
        seconds=10.0,
        images_per_second=100.0,
    )


def followed(console: Console, clock: Hands) -> tuple[list[str], float | None]:
    """The rows in the middle of the second run's training, and the time left then."""
    progress = StudyProgress(Outlook(JOBS), shown=True, console=console, clock=clock)
    rows: list[str] = []
    for run_name, epochs in (("a/0", 4), ("a/1", 2)):
        with progress.stage(run_name, "00-train"), progress.training(epochs=4, steps=2, done=0, at=0) as report:
            for epoch in range(epochs):
                clock.now += 10.0
                report.epoch(record(epoch))
            if epochs == 2:
                report.step()
                rows = [f"{row.title} {100 * row.share:.0f} {row.left}" for row in progress.rows()]
                return rows, progress.left()
        with progress.stage(run_name, "01-prune"):
            clock.now += 6.0
    raise AssertionError


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=120)


def test_the_display_says_stage_and_whole() -> None:
    rows, left = followed(terminal(), Hands())
    # 1.5 of 4 epochs of 10 s and a cut of 6 s are to come; 46 s + 20 s are spent.
    assert left == 15.0 + 6.0
    assert rows == ["epoch 3/4 62 15.0", "run 2/2 stage 1/2 76 21.0"]


def test_a_log_says_the_whole_too() -> None:
    console = Console(file=io.StringIO(), width=40)
    followed(console, Hands())
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 6
    assert lines[0].endswith("  30 s left, 1 min 14 s left in all")  # + 2 s + 40 s + 2 s: no cut was seen yet
    assert lines[3].endswith("images/s  44 s left in all")
    assert lines[5].endswith("  20 s left, 26 s left in all")


def test_a_real_run_is_one_clean_stream_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    console = terminal()
    monkeypatch.setattr("secateurs.recipes._progress.terminal", lambda: console)
    options = RunOptions(progress=True, notify=lambda line: print(line, file=sys.stderr))
    run(recipe(TRAIN, PRUNE, {**TRAIN, "name": "retrain"}, seeds=[0, 1]), tmp_path / "run", options)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().endswith("\x1b[2K\x1b[?25h\r")  # the display has been wiped away
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())
    lines = [line.strip() for line in re.split(r"[\r\n]", text) if line.strip()]
    told = [line for line in lines if not any(word in line for word in ("━", "stage ", " held on "))]
    shapes = [re.sub(r"[\d.,]+", "#", line.split("  ")[0]) for line in told]
    one = ["#-train: train # epochs", "epoch #/#", "#-prune: remove # % of macs by magnitude"]
    one += ["#-retrain: train # epochs", "epoch #/#", "#-measure: measure accuracy# cost and latency"]
    shapes = [re.sub(r" epochs.*", " epochs", shape) for shape in shapes]
    assert shapes == [line for n in range(2) for line in ("run # of #: variant base# seed #", *one)]


def test_nothing_is_shown_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe({**TRAIN, "epochs": 1}), tmp_path / "run")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_an_early_end_is_said_and_makes_what_comes_no_longer(tmp_path: Path) -> None:
    told: list[str] = []
    stage = {**TRAIN, "epochs": 30, "lr": 1e-12, "schedule": "constant", "patience": 1}
    state = run(
        recipe(stage, data={"name": "digits", "limit": 300, "validation_ratio": 0.2}),
        tmp_path / "run",
        RunOptions(notify=told.append),
    )
    done = state["stages"][0]["results"]["epochs"]
    assert done < 30
    assert f"ended after {done} of 30 epochs: no better for 1" in told


def test_an_objective_without_scores_has_no_accuracy_in_the_display() -> None:
    console, clock = terminal(), Hands()
    progress = StudyProgress(Outlook(JOBS), shown=True, console=console, clock=clock)
    with progress.stage("a/0", "00-train"), progress.training(epochs=4, steps=2, done=0, at=1) as report:
        clock.now += 5.0
        report.epoch(replace(record(0), train_accuracy=None))
        assert [row.latest for row in progress.rows()] == ["loss 0.500", ""]
        assert progress.rows()[0].left == 3 * 10.0  # half of the epoch was done before
