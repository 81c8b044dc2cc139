"""Aware against agnostic pruning, from run directories written by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from secateurs.reporting import read_run, write_together
from secateurs.reporting._record import RunRecord
from secateurs.reporting._search_plot import searches
from secateurs.reporting._subset_pairs import Cell, cells, deltas, dense_accuracy
from secateurs.reporting._subset_runs import SubsetRun, compares, subset_runs
from secateurs.reporting._subset_table import subset_table

WHOLE = 1_000_000


def accuracies(value: float, among: float | None = None) -> dict[str, Any]:
    return {"test_accuracy": value} | ({} if among is None else {"test_accuracy_among": among})


def run(
    path: Path,
    *,
    seed: int = 0,
    order: str = "",
    after: dict[str, Any],
    subsets: dict[str, Any] | None = None,
    **state: Any,
) -> RunRecord:
    """A run whose trainings and cuts come in that order: `tct` is two epochs, a cut of a half, and two epochs."""
    percent = 50 if "c" in order else 0
    costs = {"params": WHOLE * (100 - percent) // 100, "macs": 10**9 * (100 - percent) // 100}
    stages: list[dict[str, Any]] = []
    for number, letter in enumerate(order):
        kind = "train" if letter == "t" else "prune"
        results: dict[str, Any] = {"epochs": 2} if letter == "t" else {"axes": []}
        stages.append({"name": f"{number:02d}-{kind}", "type": kind, "seconds": 3.0, "results": results})
    sides: dict[str, Any] = {"unpruned": {"training_gops": {"epoch": 10.0}}, "pruned": None}
    if percent:
        sides["pruned"] = {"training_gops": {"epoch": 4.0}}
    stages.append({"name": "08-gops", "type": "gops", "seconds": 1.0, "results": {"gops": sides}})
    measured = {"after": after | costs, "removed_params": percent / 100} | ({"subsets": subsets} if subsets else {})
    stages.append({"name": "09-measure", "type": "measure", "seconds": 1.0, "results": measured})
    content = {
        "name": "by hand",
        "network": "net",
        "status": "finished",
        "seed": seed,
        "stages": [{**stage, "status": "finished"} for stage in stages],
        "summary": {"asked": {"params": 0.5} if percent else {}, "after": after | costs},
        **state,
    }
    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps(content))
    return read_run(path)


@pytest.fixture
def members(tmp_path: Path) -> list[RunRecord]:
    """Two seeds of aware and agnostic, a whole network, and runs that are not to be compared with them."""
    found = [
        run(
            tmp_path / "whole",
            after=accuracies(0.6),
            subsets={"few": accuracies(0.5, 0.7)},
            trained_on="entire_dataset",
        )
    ]
    for seed, (aware, agnostic) in enumerate(((0.8, 0.5), (0.9, 0.7))):
        found += [
            run(tmp_path / f"aware{seed}", seed=seed, order="tct", after=accuracies(aware, aware), subset="few"),
            run(
                tmp_path / f"all{seed}",
                seed=seed,
                order="ct",
                after=accuracies(0.4),
                subsets={"few": accuracies(agnostic, 0.85)},
            ),
        ]
    paced: dict[str, Any] = {"subsets": {"few": accuracies(0.3), "many": accuracies(0.2)}, "epoch_images": "few"}
    return [
        *found,
        run(tmp_path / "paced", order="ct", after=accuracies(0.1), **paced),
        run(tmp_path / "first", order="ct", after=accuracies(0.75), subset="few"),
        run(tmp_path / "tuned", order="t", after=accuracies(0.77), subset="few"),
        run(tmp_path / "running", order="ct", after=accuracies(0.99), subset="few", status="running"),
    ]


def test_ways_follow_from_what_the_runs_did(members: list[RunRecord]) -> None:
    found = [(one.way, one.subset, one.percent, one.seed, round(one.accuracy)) for one in subset_runs(members)]
    assert sorted(found) == sorted(
        [
            ("unpruned", "entire_dataset", 0, 0, 60),
            ("unpruned", "few", 0, 0, 50),
            ("aware", "few", 50, 0, 80),
            ("aware", "few", 50, 1, 90),
            ("agnostic", "entire_dataset", 50, 0, 40),
            ("agnostic", "entire_dataset", 50, 1, 40),
            ("agnostic", "few", 50, 0, 50),
            ("agnostic", "few", 50, 1, 70),
            # Of what is as long as an epoch over `few`, only `few` is told.
            ("agnostic_steps", "few", 50, 0, 30),
            ("retrained", "few", 50, 0, 75),
            ("fine_tuned", "few", 0, 0, 77),
        ]
    )
    assert compares(subset_runs(members))
    assert not compares(subset_runs(members[:1]))


def test_costs_count_every_epoch_at_its_size(members: list[RunRecord]) -> None:
    costs = {one.way: (one.train_gops, one.seconds) for one in subset_runs(members)}
    assert costs["aware"] == (2 * 10.0 + 2 * 4.0, 9.0)
    assert costs["agnostic"] == (2 * 4.0, 6.0)
    assert costs["fine_tuned"] == (2 * 10.0, 3.0)
    assert costs["unpruned"] == (0.0, 0.0)
    aware = next(one for one in subset_runs(members) if one.way == "aware")
    assert (aware.gops, aware.mb) == (1.0, 2.0)


def accuracy(one: SubsetRun) -> float | None:
    return one.accuracy


def test_differences_are_taken_seed_by_seed(members: list[RunRecord]) -> None:
    runs = subset_runs(members)
    (aware,) = [cell for cell in cells(runs) if cell.way == "aware"]
    assert isinstance(aware, Cell)
    assert deltas(runs, aware, "agnostic", accuracy) == pytest.approx([30, 20])
    assert deltas(runs, aware, "retrained", accuracy) == pytest.approx([5])
    assert dense_accuracy(runs, "net", "few", accuracy) == pytest.approx(50)
    assert dense_accuracy(runs, "other", "few", accuracy) is None


def test_the_table_tells_them(members: list[RunRecord]) -> None:
    text = subset_table(subset_runs(members), [])
    assert "| net | few | 50 | 2 | 25.00 ± 7.07 | 50.00 | 5.00 |" in text
    assert "| **mean of the rows** | | | | 25.00 | 50.00 | 5.00 |" in text
    assert "| net | few | 50 | aware | 2 | 85.00 ± 7.07 | 35.00 ± 7.07 | 85.00 ± 7.07 | 15.00 ± 7.07 |" in text
    assert "| net | aware | 35.00 | 40.00 | 30.00 | 15.00 | 20.00 | 10.00 |" in text
    assert "99.00" not in text


def test_networks_that_another_run_cut_count_by_their_weights(tmp_path: Path) -> None:
    record = run(tmp_path / "later", after=accuracies(0.6), subset="few", trained_on="entire_dataset")
    state = json.loads((record.path / "run.json").read_text())
    state["stages"][-1]["results"]["removed_params"] = 0.8
    (record.path / "run.json").write_text(json.dumps(state))
    (found,) = subset_runs([read_run(record.path)])
    assert (found.way, found.percent, found.subset) == ("agnostic", 80, "few")


def search(path: Path, level: float | None) -> None:
    probe = {"reached": True, "gops": 4.0, "seconds": 1.0}
    results = {
        "asked": {"params": level} if level else {},
        "level": level,
        "target": 0.8,
        "before_gops": 10.0,
        "before_seconds": 5.0,
        "probes": [
            probe | {"level": 0.5, "validation_accuracy": 0.85, "succeeds": True},
            probe | {"level": 0.75, "validation_accuracy": 0.7, "succeeds": False},
            {"level": 0.9, "reached": False, "succeeds": False, "gops": 0.0, "seconds": 0.1},
        ],
    }
    stage = {"name": "00-search", "type": "search", "status": "finished", "seconds": 1.0, "results": results}
    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps({"name": path.name, "status": "finished", "stages": [stage]}))


def test_searches_of_several_runs_are_drawn_together(tmp_path: Path) -> None:
    search(tmp_path / "one", 0.5)
    search(tmp_path / "none", None)
    folders = [tmp_path / "one", tmp_path / "none"]
    one, none = searches((folder.name, read_run(folder)) for folder in folders)
    assert (one.found, one.gops, one.remove, one.target) == (50, 18.0, "parameters", 80)
    assert one.seconds == pytest.approx(7.1)
    assert none.found == 0
    written = write_together("all", tmp_path / "all", folders)
    assert [path.name for path in written] == ["searches.png"]
    assert written[0].stat().st_size > 10_000
