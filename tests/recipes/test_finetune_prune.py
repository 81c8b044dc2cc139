"""One cut after some fine-tuning: when it comes, what the budget counts, and what may follow a cut."""

import json
from pathlib import Path
from typing import Any

import pytest

from secateurs._errors import ConfigError
from secateurs.recipes import Recipe, RunOptions, run
from secateurs.recipes.stages import PruneStage, TrainStage, expand
from tests.recipes._studies import read_json, recipe
from tests.recipes.test_kill import essence

RATES = [[0, 0.05], [3, 0.02], [5, -1]]
STAGE: dict[str, Any] = {
    "type": "finetune_prune",
    "prune_after": 2,
    "finetune_budget": 4,
    "remove": {"params": 0.5},
    "train": {"schedule": "list", "rates": RATES},
}
ADAPTIVE: dict[str, Any] = {"when": "adaptive", "adaptive": {"epochs": 1, "since": 1, "latest": 5}}


def study(**changes: Any) -> Recipe:
    """Digits 0 to 4."""
    data = {"name": "digits", "classes": [0, 1, 2, 3, 4], "validation_ratio": 0.3, "limit": 600}
    return recipe({**STAGE, **changes}, data=data)


def rates(path: Path) -> list[tuple[str, float]]:
    """Stage and rate of every epoch."""
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [(row["stage"], round(row["lr"], 9)) for row in rows]


def _epochs(**changes: Any) -> list[int | None]:
    """Epochs of each training, None for a cut."""
    stages = [step.stage for step in expand(study(**changes).stages)][:-1]
    assert all(isinstance(stage, TrainStage | PruneStage) for stage in stages)
    return [stage.epochs if isinstance(stage, TrainStage) else None for stage in stages]


def test_both_meanings_of_the_budget() -> None:
    published = {"prune_after": 5, "finetune_budget": 30}
    assert _epochs(**published) == [5, None, 30]
    assert _epochs(**published, budget="total") == [5, None, 25]
    assert _epochs(prune_after=0, finetune_budget=30) == [None, 30]


def test_one_schedule_goes_over_the_cut_unless_it_restarts(tmp_path: Path) -> None:
    run(study(), tmp_path / "one")
    wanted = [0.05, 0.05, 0.05, 0.02, 0.02, 0.002]
    assert rates(tmp_path / "one") == [
        ("00-train" if epoch < 2 else "02-train", rate) for epoch, rate in enumerate(wanted)
    ]
    run(study(restarts=True), tmp_path / "anew")
    assert [rate for _, rate in rates(tmp_path / "anew")] == [0.05, 0.05, 0.05, 0.05, 0.05, 0.02]
    removed = read_json(tmp_path / "one" / "run.json")["summary"]["removed"]
    assert 0.5 <= removed["params"] < 0.55


@pytest.mark.parametrize("budget", ["after", "total"])
@pytest.mark.parametrize("restarts", [False, True])
def test_an_adaptive_cut_comes_with_the_gap_and_the_schedule_goes_on(
    tmp_path: Path, budget: str, restarts: bool
) -> None:
    # At a high rate, and labels by lot, the network overfits at once.
    data = {"name": "digits", "limit": 300, "validation_ratio": 0.3, "shuffle_labels": True}
    changes = {**ADAPTIVE, "budget": budget, "finetune_budget": 6, "restarts": restarts}
    run(recipe({**STAGE, **changes}, data=data), tmp_path)
    first = [rate for stage, rate in rates(tmp_path) if stage == "00-train"]
    rest = [rate for stage, rate in rates(tmp_path) if stage == "02-train"]
    assert 2 < len(first) < 5
    assert len(rest) == (6 if budget == "after" else 6 - len(first))
    listed = [0.05, 0.05, 0.05, 0.02, 0.02, *[0.002] * 9]
    begin = 0 if restarts else len(first)
    assert rest == listed[begin : begin + len(rest)]


def test_an_adaptive_cut_comes_at_the_latest_epoch(tmp_path: Path) -> None:
    adaptive = {"epochs": 5, "since": 2, "latest": 3}
    run(study(when="adaptive", adaptive=adaptive, finetune_budget=1), tmp_path)
    assert [stage for stage, _ in rates(tmp_path)] == ["00-train"] * 3 + ["02-train"]


def test_an_adaptive_run_that_was_stopped_ends_the_same(tmp_path: Path) -> None:
    def stop(line: str) -> None:
        if line.startswith("02-train"):
            raise KeyboardInterrupt

    recipe = study(**{**ADAPTIVE, "adaptive": {"epochs": 1, "since": 0, "latest": 4}})
    run(recipe, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(recipe, tmp_path / "stopped", RunOptions(notify=stop))
    run(recipe, tmp_path / "stopped", RunOptions(resume=True))
    assert essence(tmp_path / "stopped") == essence(tmp_path / "whole")


@pytest.mark.parametrize("when", ["static", "adaptive"])
def test_momentum_goes_through_the_cut_where_asked(tmp_path: Path, when: str) -> None:
    adaptive = {"epochs": 9, "since": 0, "latest": 2}
    for keep in (True, False):
        run(study(keep_optimizer=keep, when=when, adaptive=adaptive, finetune_budget=1), tmp_path / str(keep))
    handed = [(tmp_path / name / "stages/01-prune/optimizer.safetensors").exists() for name in ("True", "False")]
    assert handed == [True, False]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"budget": "total", "finetune_budget": 2}, "more than the 2 epochs before the cut"),
        ({"prune_after": 0, "keep_optimizer": True}, "no `keep_optimizer`"),
        ({"train": {"patience": 2}}, r"no `train\.patience`"),
        ({"remove": {}}, "remove"),
        ({"when": "later"}, "when"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        study(**changes)
