import io
import re

import pytest
from rich.console import Console

from secateurs.training import EpochRecord, TrainOptions, train
from secateurs.training._progress import reporting
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


def test_a_bar_on_a_terminal() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    with reporting(True, epochs=3, steps=2, done=1, console=console) as report:
        report.step()
        report.step()
        report.epoch(RECORD)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue()).replace("\n", " ")
    assert "epoch 3/3" in text
    assert "4/6" in text
    assert "loss 0.500 accuracy 0.700" in text
    assert "left" in text


def test_a_record_reads_as_one_line() -> None:
    training = "epoch 2/3  lr 0.05  loss 0.5000  accuracy 0.7500"
    assert str(RECORD) == training + "  validation loss 0.6000  accuracy 0.7000  1.5 s  1,234 images/s"
