"""Studies in levels: the numbers, the tables, and that pictures show them."""

import json
import shutil
import statistics
from pathlib import Path
from typing import Any

import pytest

from secateurs._files import load_tensors
from secateurs.reporting import read_run, write_plots, write_study
from secateurs.reporting._levels import LevelRun, level_runs
from secateurs.reporting._levels_layers import lost_figure, unitmem_layers_figure, unitmem_units_figure
from secateurs.reporting._levels_plot import accuracy_figure, unitmem_figure
from secateurs.reporting._levels_table import level_table
from secateurs.reporting._levels_violin import violin_figure
from secateurs.reporting._record import member_runs
from secateurs.reporting._training_plot import training_figure
from tests.reporting._level_runs import Method, Shape, write_level_run, write_level_study

METHODS = {
    "low": Method(drop=0.1, activations=True),
    "random": Method(drop=0.2, choice="random"),
    "magnitude": Method(drop=0.05, weights=True, measured=False),
}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_level_study(tmp_path, METHODS, seeds=[0, 1])


def runs_of(path: Path) -> list[LevelRun]:
    """The levels of all runs of a study."""
    return level_runs(member_runs(read_run(path)))


def lines(table: str, *starts: str) -> list[str]:
    """The rows that begin with these cells."""
    return [line for line in table.splitlines() if line.startswith("| " + " | ".join(starts) + " |")]


def test_levels_are_read_with_what_each_left(study: Path) -> None:
    runs = runs_of(study)
    assert [run.method for run in runs] == ["low", "low", "random", "random", "magnitude", "magnitude"]
    first, second = runs[0].levels
    assert (first.before, first.after, first.retrained) == pytest.approx((90, 80, 85))
    assert first.validated == pytest.approx(86)
    assert (second.before, second.after, second.retrained) == pytest.approx((85, 65, 75))
    assert (first.removed, second.removed, second.everything) == (2, 4, 12)
    assert second.sparsity == pytest.approx(100 / 3)
    assert second.place == second.sparsity
    assert (second.params, second.macs) == (800, 8000)
    # The four units that went were all of the fuller layer.
    assert second.lost == {"conv1": 0.0, "conv2": 0.5}
    assert first.folder == study / "low" / "0" / "stages" / "01-level"


def test_levels_of_weights_stand_beside_those_of_units(study: Path) -> None:
    last = runs_of(study)[-1].levels[-1]
    assert (last.removed, last.everything) == (20, 120)
    assert last.sparsity == pytest.approx(100 / 6)
    assert last.place == pytest.approx(100 / 3 - 0.5)
    assert last.lost == pytest.approx({"conv1": 0.0, "conv2": 0.25})


def test_the_table_compares_methods_level_by_level(study: Path) -> None:
    table = level_table(runs_of(study))
    after, retrained, everything = table.split("| level | ")[1:]
    assert lines(after, "-") == ["| - | 0.00 | 90.00 ± 0.00 | 90.00 ± 0.00 | 90.00 ± 0.00 |"]
    # Seeds differ by two points right after the first cut.
    assert lines(after, "0") == ["| 0 | 16.67 | 79.00 ± 1.41 | 69.00 ± 1.41 | 84.00 ± 1.41 |"]
    assert lines(retrained, "0") == ["| 0 | 16.67 | 84.50 ± 0.71 | 79.50 ± 0.71 | 87.00 ± 0.71 |"]
    assert "random" in retrained.splitlines()[0]
    assert everything


def test_the_table_has_every_figure_of_every_level(study: Path) -> None:
    table = level_table(runs_of(study))
    (low,) = lines(table, "low", "0")
    files = [study / "low" / seed / "run.json" for seed in "01"]
    measured = [json.loads(file.read_text())["stages"][1]["results"]["mean_unitmem"] for file in files]
    unitmem = f"{statistics.fmean(measured):.4f} ± {statistics.stdev(measured):.4f}"
    figures = f"79.00 ± 1.41 | 85.50 ± 0.71 | 84.50 ± 0.71 | 1,000 | 10,000 | {unitmem}"
    assert low == f"| low | 0 | 2 | 16.67 | 2 of 12 units | {figures} |"
    (weights,) = lines(table, "magnitude", "1")
    assert weights.startswith("| magnitude | 1 | 2 | 16.67 | 20 of 120 weights |")
    assert weights.endswith("| - |")
    assert len(lines(table, "random", "0") + lines(table, "random", "1")) == 2
    assert "- low: conv1 0.00, conv2 0.50" in table


def test_what_has_not_ended_is_left_out(study: Path) -> None:
    shutil.rmtree(study / "low" / "1")
    write_level_run(study / "low" / "1", METHODS["low"], 1, complete=False)
    shutil.rmtree(study / "random" / "1")
    runs = runs_of(study)
    assert [len(run.levels) for run in runs] == [2, 2, 2, 2, 2]
    assert runs[1].levels[-1].retrained is None
    table = level_table(runs)
    assert lines(table, "low", "1")[0].split(" | ")[2:8] == [
        "2", "33.33", "4 of 12 units", "63.50 ± 2.12", "76.00", "75.00",
    ]  # fmt: skip
    assert lines(table, "random", "1")[0].split(" | ")[2] == "1"


def test_a_study_without_levels_is_none(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"name": "other", "runs": [], "stages": []}))
    assert runs_of(tmp_path) == []
    assert write_study(tmp_path) == ()
    assert not (tmp_path / "levels.md").exists()


def test_accuracy_is_drawn_against_units_removed_with_spreads(study: Path) -> None:
    figure = accuracy_figure("levels", runs_of(study))
    after, retrained = figure.axes
    assert [line.get_label() for line in after.lines] == list(METHODS)
    assert list(after.lines[0].get_xdata()) == pytest.approx([0, 100 / 6, 100 / 3])
    assert list(after.lines[0].get_ydata()) == pytest.approx([90, 79, 63.5])
    assert list(retrained.lines[0].get_ydata()) == pytest.approx([90, 84.5, 74])
    assert list(after.lines[2].get_xdata()) == pytest.approx([0, 100 / 6 - 0.5, 100 / 3 - 0.5])
    assert len(after.collections) == len(METHODS)  # a band each
    band = after.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(63.5 - statistics.stdev([65, 62]))
    assert after.get_xlabel().startswith("units removed, %")
    assert after.get_ylabel() == "test accuracy, %"


def test_a_method_has_one_colour_in_all_pictures(study: Path) -> None:
    runs = runs_of(study)
    pictures = [accuracy_figure("levels", runs), unitmem_figure("levels", runs), lost_figure("levels", runs)]
    colours = [{line.get_label(): line.get_color() for line in figure.axes[0].lines} for figure in pictures]
    assert colours[0] == colours[2]
    # UnitMem of the third was not measured; the others keep their colours.
    assert colours[1] == {name: colours[0][name] for name in ("low", "random")}


def test_unitmem_stands_where_it_was_measured(study: Path) -> None:
    runs = runs_of(study)
    line = unitmem_figure("levels", runs).axes[0].lines[0]
    assert list(line.get_xdata()) == pytest.approx([0, 100 / 6])
    means = [statistics.fmean([run.levels[number].unitmem or 0 for run in runs[:2]]) for number in (0, 1)]
    assert list(line.get_ydata()) == pytest.approx(means)


def test_layers_have_a_panel_for_each_method_and_a_line_for_each_level(study: Path) -> None:
    runs = runs_of(study)
    low, random, *bar = unitmem_layers_figure("levels", runs).axes
    assert [low.get_title(loc="left"), random.get_title(loc="left")] == ["low", "random"]
    assert len(low.lines) == 2
    means = [statistics.fmean([run.levels[1].by_layer[layer] for run in runs[:2]]) for layer in ("conv1", "conv2")]
    assert list(low.lines[1].get_ydata()) == pytest.approx(means)
    assert [axes.get_ylabel() for axes in bar] == ["level"]


def test_single_units_are_all_shown(study: Path) -> None:
    levels = runs_of(study)[0].levels
    axes = unitmem_units_figure("levels", levels).axes[0]
    tensors, _ = load_tensors(levels[1].folder / "unitmem.safetensors")
    # By end: a line of points for each layer, then the means.
    assert list(axes.lines[4].get_ydata()) == tensors["conv2.values"].tolist()
    means = [float(tensors[f"{layer}.values"].mean()) for layer in ("conv1", "conv2")]
    assert list(axes.lines[5].get_ydata()) == pytest.approx(means)
    labels = [line.get_label() for line in (axes.lines[2], axes.lines[5])]
    assert labels[1] == "before level 1, 16.7 % removed; large: the mean"


@pytest.mark.parametrize(
    ("variant", "label"), [("low", "activation (square root scale)"), ("random", "UnitMem of a unit")]
)
def test_violins_are_of_activations_where_they_were_kept(study: Path, variant: str, label: str) -> None:
    run = next(run for run in runs_of(study) if run.method == variant)
    axes = violin_figure("levels", run.levels).axes[0]
    assert axes.get_ylabel() == label
    tensors, _ = load_tensors(run.levels[0].folder / "unitmem.safetensors")
    found = tensors["conv1.activations"].double().sqrt() if variant == "low" else tensors["conv1.values"]
    drawn = [lines.get_segments() for lines in axes.collections if hasattr(lines, "get_segments")]
    medians = [segment[0][1] for segments in drawn for segment in segments]
    assert len(medians) == 4  # two layers, before two levels
    assert medians[0] == pytest.approx(float(found.quantile(0.5)))


def test_all_files_are_written_and_repeat_byte_by_byte(study: Path) -> None:
    first = write_study(study)
    assert [path.name for path in first] == ["levels.png", "levels_layers.png", "unitmem.png", "unitmem_layers.png"]
    contents = [path.read_bytes() for path in first]
    assert [path.read_bytes() for path in write_study(study)] == contents
    assert not (study / "cuts.md").exists()
    names = [path.name for path in write_plots(study / "low" / "0")]
    sheets = ["unitmem_images_level_00.png", "unitmem_images_level_01.png"]
    single = ["unitmem_units.png", "unitmem_violins.png", *sheets]
    assert names == ["levels.png", "levels_layers.png", "unitmem.png", "unitmem_layers.png", *single]
    assert "| unitmem, low | 0 | 1 |" in (study / "low" / "0" / "levels.md").read_text()
    # UnitMem was not measured there.
    assert [path.name for path in write_plots(study / "magnitude" / "0")] == ["levels.png", "levels_layers.png"]


def test_levels_twice_in_a_run_are_two_experiments(tmp_path: Path) -> None:
    path = write_level_run(tmp_path / "run", METHODS["low"], 0, Shape(levels=1))
    state: dict[str, Any] = json.loads((path / "run.json").read_text())
    again = [stage | {"name": f"{number:02d}-{stage['type']}"} for number, stage in enumerate(state["stages"][1:], 3)]
    state["stages"] += again
    (path / "run.json").write_text(json.dumps(state))
    shutil.copytree(path / "stages" / "01-level", path / "stages" / "03-level")
    methods = [run.method for run in level_runs([(None, read_run(path))])]
    assert methods == ["unitmem, low, experiment 0", "unitmem, low, experiment 1"]
    names = {file.name for file in write_plots(path)}
    assert {"unitmem_units_0.png", "unitmem_units_1.png", "unitmem_images_1_level_00.png"} <= names


def test_levels_are_marked_in_training_curves(tmp_path: Path) -> None:
    path = write_level_run(tmp_path / "run", METHODS["low"], 0)
    epochs = [
        {"stage": stage, "train_loss": 1.0, "train_accuracy": 0.5, "validation_loss": None, "validation_accuracy": None}
        for stage in ("00-train", "00-train", "02-train", "04-train")
    ]
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in epochs))
    loss = training_figure(read_run(path)).axes[0]
    marks = [line.get_xdata()[0] for line in loss.lines if line.get_linestyle() == "--"]
    assert marks == [2.5, 3.5]
    assert [text.get_text() for text in loss.texts] == ["level 0, 17 % removed", "level 1, 33 % removed"]
