"""Dips and recoveries, from run directories written by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from secateurs.reporting import read_run, write_study
from secateurs.reporting._cuts import cut_runs, cut_table
from secateurs.reporting._cuts_plot import cuts_figure


def _cut(before: float, after: float, size: int, kept: int) -> dict[str, Any]:
    sides = {
        side: {"test_accuracy": accuracy, "params": 10 * units, "macs": 100 * units}
        for side, accuracy, units in (("before", before, size), ("after", after, kept))
    }
    return {**sides, "axes": [{"name": "fc", "size": size, "kept": kept}, {"name": "whole", "size": 4, "kept": 4}]}


def _run(path: Path, *, drop: float, cut: bool) -> None:
    """Two epochs, a cut, two epochs, a cut that is left out, a cut, one epoch."""
    rows: list[dict[str, Any]] = []
    stages: list[dict[str, Any]] = []

    def train(accuracies: list[float], test: float) -> None:
        name = f"{len(stages):02d}-train"
        rows.extend(
            {"stage": name, "epoch": epoch, "train_accuracy": 0.99, "validation_accuracy": accuracy}
            for epoch, accuracy in enumerate(accuracies)
        )
        stages.append({"name": name, "type": "train", "results": {"train_accuracy": 0.99, "test_accuracy": test}})

    def prune(results: dict[str, Any]) -> None:
        stages.append({"name": f"{len(stages):02d}-prune", "type": "prune", "results": results})

    if cut:
        train([0.5, 0.8], 0.81)
        prune(_cut(0.81, 0.81 - drop, 10, 9))
        train([0.7, 0.85], 0.84)
        prune(_cut(0.84, 0.84, 9, 9))
        prune(_cut(0.84, 0.84 - 2 * drop, 9, 8))
        train([0.75], 0.78)
    else:
        train([0.5, 0.8, 0.82, 0.84, 0.86], 0.87)
    after = {"test_accuracy": 0.78 if cut else 0.87, "params": 80 if cut else 100, "macs": 800 if cut else 1000}
    state = {"name": "s", "status": "finished", "stages": stages, "summary": {"after": after}}
    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps(state))
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    runs = []
    for variant, cut in (("dense", False), ("importance", True)):
        for seed, drop in ((0, 0.1), (1, 0.2)):
            _run(tmp_path / variant / str(seed), drop=drop, cut=cut)
            runs.append({"variant": variant, "seed": seed, "path": f"{variant}/{seed}"})
    (tmp_path / "run.json").write_text(json.dumps({"name": "study", "status": "finished", "runs": runs, "stages": []}))
    return tmp_path


def test_every_real_cut_is_told_with_its_dip_and_recovery(study: Path) -> None:
    runs = cut_runs(read_run(study))
    assert [(run.variant, len(run.cuts)) for run in runs] == [("dense", 0), ("dense", 0)] + [("importance", 2)] * 2
    first, second = runs[2].cuts
    assert (first.epoch, first.before, first.recovered) == (2, 81, 84)
    assert first.after == pytest.approx(71)
    assert (first.waited, second.waited) == (2, None)
    assert (second.epoch, second.params, second.macs, second.kept) == (4, 80, 800, {"fc": 8})


def test_the_table_has_means_and_spreads(study: Path) -> None:
    table = cut_table(cut_runs(read_run(study)))
    dense, importance = [
        line for line in table.splitlines() if line.startswith(("| dense | 2 | 99", "| importance | 2 | 99"))
    ]
    assert dense == "| dense | 2 | 99.00 ± 0.00 | 86.00 ± 0.00 | 87.00 ± 0.00 | 100 | 1,000 | - | - | - |"
    # Dips of 10 and 20 points, then of 20 and 40.
    assert importance.endswith("| 78.00 ± 0.00 | 80 | 800 | 22.50 | 40.00 | 2.0 (2 of 4 never) |")
    assert "| importance | 2 | 9 | 90 | 81.00 ± 0.00 | 66.00 ± 7.07 | 84.00 ± 0.00 |" in table


def test_the_picture_has_real_epochs_and_every_cut(study: Path) -> None:
    record = read_run(study)
    above, below = cuts_figure(record, cut_runs(record)).axes
    curves = [line for line in above.lines if line.get_linestyle() == "-"]
    assert [list(line.get_xdata()) for line in curves] == [[1, 2, 3, 4, 5]] * 2
    assert list(curves[1].get_ydata()) == pytest.approx([50, 80, 70, 85, 75])
    assert [line.get_xdata()[0] for line in above.lines if line.get_linestyle() == "--"] == [2, 4]
    around = next(line for line in below.lines if list(line.get_xdata()) == [2, 2, 4, 4, 5])
    assert list(around.get_ydata()) == pytest.approx([81, 66, 84, 54, 78])


def _as_autoencoder(path: Path) -> None:
    """The same run, judged by a bound of -100 nats where it had an accuracy of 0."""

    def renamed(results: dict[str, Any]) -> dict[str, Any]:
        inner: dict[str, Any] = {key: renamed(at) if isinstance(at, dict) else at for key, at in results.items()}
        names = {"test_accuracy": "test_elbo", "train_accuracy": "train_elbo"}
        return {names.get(key, key): 100 * value - 100 if key in names else value for key, value in inner.items()}

    state = json.loads((path / "run.json").read_text())
    stages = [stage | {"results": renamed(stage["results"])} for stage in state["stages"]]
    (path / "run.json").write_text(json.dumps(state | {"stages": stages, "summary": renamed(state["summary"])}))
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        for source in ("train", "validation"):
            row |= {f"{source}_accuracy": None, f"{source}_loss": 100 - 100 * row[f"{source}_accuracy"]}
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_autoencoders_are_told_of_in_nats(study: Path) -> None:
    classifiers = cut_runs(read_run(study))
    for file in study.glob("*/*/run.json"):
        _as_autoencoder(file.parent)
    runs = cut_runs(read_run(study))
    for run, classifier in zip(runs, classifiers, strict=True):
        assert run.validation == pytest.approx([value - 100 for value in classifier.validation])
        for cut, other in zip(run.cuts, classifier.cuts, strict=True):
            assert cut.after == pytest.approx(other.after - 100)
            assert cut.waited == other.waited
    table = cut_table(runs)
    assert "| train, nats | validation, nats | test, nats | parameters | MACs | dip, nats |" in table
    assert "| importance | 2 | -1.00 ± 0.00 | -25.00 ± 0.00 | -22.00 ± 0.00 | 80 | 800 | 22.50 | 40.00 |" in table
    assert "Test ELBO, nats per image before each cut" in table
    below = cuts_figure(read_run(study), runs).axes[1]
    assert below.get_ylabel() == "test ELBO, nats per image"


def test_a_study_of_cuts_gets_its_table_and_its_picture(study: Path) -> None:
    assert [path.name for path in write_study(study)] == ["cuts.png"]
    assert (study / "cuts.md").read_text() == cut_table(cut_runs(read_run(study)))


def test_a_study_with_one_cut_a_run_gets_neither(tmp_path: Path) -> None:
    _run(tmp_path / "dense" / "0", drop=0.1, cut=False)
    runs = [{"variant": "dense", "seed": 0, "path": "dense/0"}]
    (tmp_path / "run.json").write_text(json.dumps({"name": "study", "status": "finished", "runs": runs, "stages": []}))
    assert write_study(tmp_path) == ()
