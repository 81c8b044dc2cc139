"""The pictures: that they show the numbers of the run directory."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from secateurs import SecateursError
from secateurs.reporting import read_run, write_plots
from secateurs.reporting._kept_plot import kept_figure
from secateurs.reporting._training_plot import training_figure
from tests.reporting._runs import state, write_run


def test_both_pictures_are_written_and_repeat_byte_by_byte(tmp_path: Path) -> None:
    first = write_plots(write_run(tmp_path / "a", state()))
    second = write_plots(write_run(tmp_path / "b", state()))
    assert [path.name for path in first] == ["training.png", "kept.png"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes().startswith(b"\x89PNG")
        assert one.read_bytes() == other.read_bytes()


def test_a_run_with_nothing_to_show_gets_no_pictures(tmp_path: Path) -> None:
    content = {**state(), "stages": []}
    assert write_plots(write_run(tmp_path / "run", content, epochs=0)) == ()


def test_curves_stop_at_cuts_and_cuts_are_marked(tmp_path: Path) -> None:
    figure = training_figure(read_run(write_run(tmp_path / "run", state())))
    loss, accuracy = figure.axes
    curves = [line for line in loss.lines if line.get_linestyle() == "-"]
    assert [list(line.get_xdata()) for line in curves] == [[1, 2, 3], [4, 5, 6]]
    assert [list(line.get_ydata()) for line in curves] == [[1, 1 / 2, 1 / 3]] * 2
    marks = [line.get_xdata()[0] for line in loss.lines if line.get_linestyle() == "--"]
    assert marks == [3.5, 6.5]
    assert [text.get_text() for text in loss.texts] == ["cut 50 % of macs"] * 2
    assert list(accuracy.lines[0].get_ydata()) == [50, 50, 50]


def test_losses_of_steps_fill_their_epochs_and_nothing_else_is_shown_without_classes(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run", state(), epochs=2))
    rows = [{**row, "train_accuracy": None, "step_losses": [4.0, None]} for row in run.epochs]
    (loss,) = training_figure(replace(run, epochs=rows)).axes
    steps = [line for line in loss.lines if line.get_alpha() == 0.5]
    assert [list(line.get_xdata()) for line in steps[:2]] == [[0.75, 1.25], [1.75, 2.25]]
    assert steps[0].get_ydata()[0] == 4


def test_kept_units_are_counted_from_before_the_first_cut(tmp_path: Path) -> None:
    figure = kept_figure(read_run(write_run(tmp_path / "run", state())))
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["conv1", "fc"]
    assert [text.get_text() for text in axes.texts] == ["1 of 16", "3 of 8"]


def test_without_matplotlib_the_cure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_run(tmp_path / "run", state())
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(SecateursError, match=r"pip install 'secateurs\[plots\]'"):
        write_plots(path)
