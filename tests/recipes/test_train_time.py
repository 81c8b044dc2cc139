"""Cuts while a network trains: when they come, what they leave, and when they end."""

import json
from pathlib import Path
from typing import Any

import pytest

from secateurs._errors import ConfigError
from secateurs.recipes import Recipe, RunOptions, run
from secateurs.recipes.stages import PruneStage, TrainStage, expand
from secateurs.training import TrainOptions, learning_rate
from tests.recipes._studies import TRAIN, read_json, recipe
from tests.recipes.test_kill import essence

SCHEDULE: dict[str, Any] = {
    "type": "train_time",
    "initial_epochs": 2,
    "every": 1,
    "total_epochs": 9,
    "train": {"lr": 0.1, "warmup_epochs": 1},
}
WIDTHS = [(50, 30), (45, 27), (40, 24), (36, 21), (32, 18), (28, 16), (25, 14), (22, 12)]


def study(**changes: Any) -> Recipe:
    """A schedule of cuts on digits, with the widths of the published network."""
    return recipe({**SCHEDULE, **changes}, model={"name": "mlp", "options": {"widths": [50, 30]}})


def cuts(path: Path) -> list[dict[str, Any]]:
    """The results of all cuts of a run."""
    return [stage["results"] for stage in read_json(path / "run.json")["stages"] if stage["type"] == "prune"]


def widths(path: Path) -> list[tuple[int, ...]]:
    """What the cuts leave of both layers, one after another."""
    return [tuple(axis["kept"] for axis in results["axes"]) for results in cuts(path)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "whole"
    run(study(), path)
    return path


def _epochs(**changes: Any) -> list[int | None]:
    """Epochs of each training, None for a cut."""
    stages = [step.stage for step in expand(study(**changes).stages)][:-1]
    assert all(isinstance(stage, TrainStage | PruneStage) for stage in stages)
    return [stage.epochs if isinstance(stage, TrainStage) else None for stage in stages]


def test_cuts_come_at_the_epochs_of_the_published_schedule() -> None:
    seven = [30, *[None, 10] * 7]
    assert _epochs(initial_epochs=30, every=10, total_epochs=100) == seven
    five = [30, *[None, 15] * 4, None, 10]
    assert _epochs(initial_epochs=30, every=15, total_epochs=100) == five


def test_equal_epochs_cut_nothing() -> None:
    assert _epochs(initial_epochs=100, total_epochs=100) == [100]


def test_every_cut_leaves_nine_tenths_rounded_down(whole: Path) -> None:
    assert widths(whole) == WIDTHS[1:]
    assert all(results["verified"] is not None for results in cuts(whole))
    assert read_json(whole / "run.json")["summary"]["after"]["params"] == 64 * 22 + 22 * 12 + 12 * 10 + 22 + 12 + 10


def test_one_schedule_goes_over_all_epochs(whole: Path) -> None:
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    options = TrainOptions(epochs=9, lr=0.1, warmup_epochs=1)
    steps = -(-270 // 32)
    assert [row["lr"] for row in rows] == [learning_rate(options, epoch, steps - 1, steps) for epoch in range(9)]


def test_the_schedule_can_begin_anew_after_each_cut() -> None:
    stages = [step.stage for step in expand(study(restarts=True, initial_epochs=3, every=2).stages)]
    parts = [stage for stage in stages if isinstance(stage, TrainStage)]
    rates = [
        [learning_rate(TrainOptions(epochs=epochs, lr=0.1, warmup_epochs=1), epoch, 0, 10) for epoch in range(epochs)]
        for epochs in (3, 2, 2, 2)
    ]
    assert [[learning_rate(part, epoch, 0, 10) for epoch in range(part.epochs)] for part in parts] == rates


@pytest.mark.parametrize("place", ["04-train", "05-prune"])
def test_stopped_in_between_it_ends_the_same(whole: Path, tmp_path: Path, place: str) -> None:
    def stop(line: str) -> None:
        if line.startswith(place):
            raise KeyboardInterrupt

    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(study(), path, RunOptions(notify=stop))
    run(study(), path, RunOptions(resume=True))
    assert essence(path) == essence(whole)


def _first_cut(path: Path, **changes: Any) -> dict[str, list[int]]:
    run(study(total_epochs=3, **changes), path)
    removed: dict[str, list[int]] = read_json(path / "stages" / "01-prune" / "plan.json")["removed"]
    return removed


def test_the_worst_choice_takes_the_other_end_and_lots_take_any(tmp_path: Path) -> None:
    found = {choice: _first_cut(tmp_path / choice, choice=choice) for choice in ("bottom", "top", "random")}
    for axis, count in (("hidden.0", 5), ("hidden.1", 3)):
        assert [len(removed[axis]) for removed in found.values()] == [count] * 3
        assert not set(found["bottom"][axis]) & set(found["top"][axis])
        assert set(found["random"][axis]) != set(found["bottom"][axis])


def test_momentum_goes_through_a_cut_unless_it_is_rebuilt(tmp_path: Path) -> None:
    for name, rebuild in (("kept", False), ("rebuilt", True)):
        run(study(total_epochs=3, rebuild_optimizer=rebuild), tmp_path / name)
    handed = {
        name: (tmp_path / name / "stages/01-prune/optimizer.safetensors").exists() for name in ("kept", "rebuilt")
    }
    assert handed == {"kept": True, "rebuilt": False}
    first, second = (json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[-1]) for name in handed)
    assert first["train_loss"] != second["train_loss"]


def test_cuts_end_once_enough_is_removed_and_training_goes_on(tmp_path: Path) -> None:
    run(study(stop={"removed": {"params": 0.25}}), tmp_path)
    assert widths(tmp_path) == [*WIDTHS[1:4], *[WIDTHS[3]] * 4]
    reasons = [results.get("stopped") for results in cuts(tmp_path)]
    assert reasons[:3] == [None] * 3
    assert len(set(reasons[3:])) == 1
    assert "of params" in str(reasons[3])
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 9


def test_cuts_end_once_accuracy_has_fallen(tmp_path: Path) -> None:
    # Cut from the top at a high rate, the network falls apart.
    run(study(choice="top", ratio=0.6, total_epochs=6, stop={"accuracy_drop": 0.02}), tmp_path)
    reasons = [results.get("stopped") for results in cuts(tmp_path)]
    assert reasons[0] is None
    assert "validation accuracy fell" in str(reasons[-1])
    stop = next(index for index, reason in enumerate(reasons) if reason)
    assert all(left == widths(tmp_path)[stop - 1] for left in widths(tmp_path)[stop:])


def test_cuts_end_once_the_figure_of_the_objective_is_worse_by_a_fraction(tmp_path: Path) -> None:
    run(study(choice="top", ratio=0.6, total_epochs=6, stop={"worsening": 0.03}), tmp_path)
    state = read_json(tmp_path / "run.json")
    seen = [stage["results"]["validation_accuracy"] for stage in state["stages"] if stage["type"] == "train"]
    bad = [accuracy < 0.97 * seen[0] for accuracy in seen[:-1]]
    reasons = [results.get("stopped") for results in cuts(tmp_path)]
    assert [reason is not None for reason in reasons] == [any(bad[: index + 1]) for index in range(len(bad))]
    assert reasons[-1] == f"validation accuracy fell from {seen[0]:.6g} to {seen[bad.index(True)]:.6g}"


@pytest.mark.parametrize("option", ["accuracy_drop", "worsening"])
def test_a_drop_needs_validation_images(option: str, tmp_path: Path) -> None:
    schedule = {**SCHEDULE, "total_epochs": 4, "stop": {option: 0.1}}
    wanting = recipe(schedule, data={"name": "digits", "limit": 300, "validation_ratio": 0.0})
    with pytest.raises(ConfigError, match=rf"{option}.*data\.validation_ratio"):
        run(wanting, tmp_path)


def test_axes_keep_their_widths_and_the_last_unit(tmp_path: Path) -> None:
    run(study(ratio=0.7, total_epochs=7, widths={"hidden.0": 40}), tmp_path)
    assert [axis["kept"] for axis in cuts(tmp_path)[0]["axes"]] == [40, 9]
    state = read_json(tmp_path / "run.json")
    assert state["status"] == "finished"
    assert state["summary"]["after"]["params"] == 64 * 40 + 40 + 40 * 1 + 1 + 10 + 10


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"initial_epochs": 10}, "at most `total_epochs`"),
        ({"train": {"patience": 3}}, r"no `train\.patience`"),
        ({"train": {"epochs": 3}}, "epochs"),
        ({"stop": {}}, "accuracy_drop"),
        ({"ratio": 1.0}, "ratio"),
        ({"choice": "worst"}, "choice"),
    ],
)
def test_schedules_that_make_no_sense_are_refused(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        study(**changes)


@pytest.mark.parametrize(
    "options",
    [
        {"each_axis": 0.1, "remove": {"macs": 0.1}},
        {"each_axis": 0.1, "scope": {"*": 0.1}},
        {"each_axis": 0.1, "floor": 3},
        {"remove": {"macs": 0.1}, "widths": {"*": 3}},
    ],
)
def test_a_share_of_each_axis_goes_with_no_other_budget(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="each_axis"):
        recipe(TRAIN, {"type": "prune", **options})
