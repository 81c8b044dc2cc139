import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from rich.console import Console

from secateurs._duration import duration
from secateurs.training import EpochRecord, TrainOptions, train
from secateurs.training._pace import Pace
from secateurs.training._progress import LineReporter, Reporter, reporting
from tests.training._toys import make_network, split_batches, toy_images

BATCHES = split_batches(*toy_images(128))
RECORD = EpochRecord(
    epoch=1,
    epochs=3,
    lr=0.05,
    train_loss=0.5,
    train_accuracy=0.75,
    validation_loss=0.6,
    validation_accuracy=0.7,
    seconds=1.5,
    images_per_second=1234.0,
)


def test_one_line_per_epoch_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    train(make_network(), BATCHES, TrainOptions(epochs=3, device="cpu"), validation=BATCHES, progress=True)
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert len(lines) == 3
    assert re.match(r"epoch 2/3  lr \S+  loss \S+  accuracy \S+  validation loss \S+  accuracy \S+  \S+ s  ", lines[1])


def test_silent_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    train(make_network(), BATCHES, TrainOptions(epochs=1, device="cpu"), validation=BATCHES)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def drawn(console: Console) -> str:
    """What a terminal was sent, without its control codes."""
    file = console.file
    assert isinstance(file, io.StringIO)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", file.getvalue())


@pytest.mark.parametrize("width", [120, 60])
def test_a_live_display_on_a_terminal_and_one_line_that_stays(width: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=width)
    with reporting(True, epochs=3, steps=2, done=1, console=console) as report:
        report.step()
        report.step()
        report.epoch(RECORD)
    text = drawn(console)
    row = next(line for line in text.splitlines() if "epoch 3/3" in line)
    assert "67 %  loss 0.500  accuracy 0.700" in row
    assert "left" in row
    assert len(row.rstrip("\r")) <= width
    assert ("━" in row) == (width == 120)
    assert text.splitlines()[-1] == str(RECORD)


def test_what_is_printed_meanwhile_stands_whole_above_the_display() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with reporting(True, epochs=2, steps=2, done=0, console=console) as report:
        report.step()
        print("told by somebody else", file=sys.stderr)
        report.step()
    assert "told by somebody else" in [line.strip() for line in drawn(console).splitlines()]


def test_another_display_takes_over() -> None:
    asked: list[tuple[int, int, int, int]] = []

    class Other:
        @contextmanager
        def training(self, *, epochs: int, steps: int, done: int, at: int) -> Iterator[Reporter]:
            asked.append((epochs, steps, done, at))
            with reporting(False, epochs=epochs, steps=steps, done=done) as silent:
                yield silent

    train(make_network(), BATCHES, TrainOptions(epochs=1, device="cpu"), progress=Other())
    assert asked == [(1, len(BATCHES), 0, 0)]


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_log_says_the_time_left_after_the_first_epoch_each_tenth_and_each_minute() -> None:
    def said(seconds: float) -> list[int]:
        console, clock = Console(file=io.StringIO(), width=40), Hands()
        pace = Pace(epochs=20, steps=2, clock=clock)
        report = LineReporter(console, pace, lambda: pace.left and 2 * pace.left, clock)
        for epoch in range(20):
            clock.now += seconds
            report.epoch(replace(RECORD, epoch=epoch, epochs=20))
        lines = drawn(console).splitlines()
        assert len(lines) == 20
        return [number for number, line in enumerate(lines, start=1) if line.endswith(" in all")]

    assert said(1.0) == [1, 2, 4, 6, 8, 10, 12, 14, 16, 18]
    assert said(61.0) == list(range(1, 20))


def test_pace_foresees_from_recent_epochs_and_leaves_the_first_out() -> None:
    clock = Hands()
    pace = Pace(epochs=10, steps=4, clock=clock)
    assert (pace.share, pace.left) == (0.0, None)
    clock.now = 10.0
    pace.step()
    assert pace.left == pytest.approx(9.75 * 40)  # nothing but one step of ten seconds is known
    clock.now = 40.0
    pace.epoch()
    assert pace.left == pytest.approx(9 * 40)
    for _ in range(2):
        clock.now += 4.0
        pace.epoch()
    pace.step()
    pace.step()
    assert [pace.share, pace.left] == pytest.approx([0.35, 6.5 * 4])


def test_pace_of_a_resumed_training() -> None:
    clock = Hands()
    pace = Pace(epochs=10, steps=4, done=6, at=2, known=5.0, clock=clock)
    assert [pace.share, pace.left] == pytest.approx([0.65, 3.5 * 5])
    clock.now = 3.0
    pace.step()
    pace.step()
    pace.epoch()  # half an epoch in 3 s
    assert pace.left == pytest.approx(3 * 6)
    for _ in range(4):
        pace.epoch()
    assert (pace.share, pace.left) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (4 * 86400 + 11 * 3600, "4 d 11 h"),
    ],
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_record_reads_as_one_line() -> None:
    training = "epoch 2/3  lr 0.05  loss 0.5000  accuracy 0.7500"
    assert str(RECORD) == training + "  validation loss 0.6000  accuracy 0.7000  1.5 s  1,234 images/s"
