"""What runs of a study have in common is done once, and changes no result."""

import json
from pathlib import Path
from typing import Any

import pytest

from secateurs import recipes
from secateurs.recipes._reuse import common_steps
from tests.recipes._studies import PRUNE, TRAIN, read_json, recipe, weights

RETRAIN: dict[str, Any] = {**TRAIN, "name": "retrain"}
VARIANTS: dict[str, dict[str, Any]] = {
    "l2": {},
    "l1": {"stages.1.criterion": {"name": "magnitude", "options": {"p": 1}}},
    "longer": {"stages.0.epochs": 3},
}


def test_a_study_gives_what_its_runs_give_alone(tmp_path: Path) -> None:
    told: list[str] = []
    study = recipe(TRAIN, PRUNE, RETRAIN, variants=VARIANTS, seeds=[0, 1])
    recipes.run(study, tmp_path / "study", recipes.RunOptions(notify=told.append))
    assert [line for line in told if "taken over" in line] == [
        "00-train taken over from l2/0",
        "00-train taken over from l2/1",
    ]
    alone = recipe(TRAIN, PRUNE | {"criterion": VARIANTS["l1"]["stages.1.criterion"]}, RETRAIN, seed=1)
    recipes.run(alone, tmp_path / "alone")
    assert weights(tmp_path / "study/l1/1") == weights(tmp_path / "alone")
    state = read_json(tmp_path / "study/l1/1/run.json")
    assert state["stages"][0]["taken_from"] == "l2/1"
    assert "taken_from" not in state["stages"][1]
    rows = [json.loads(line) for line in (tmp_path / "study/l1/1/metrics.jsonl").read_text().splitlines()]
    assert [row["stage"] for row in rows] == ["00-train"] * 2 + ["02-retrain"] * 2
    assert state["summary"]["before"]["params"] == read_json(tmp_path / "alone/run.json")["summary"]["before"]["params"]


@pytest.mark.parametrize(
    "changes",
    [{"seed": 1}, {"batches": {"size": 16}}, {"threads": 2}, {"data": {"name": "digits", "limit": 200}}],
)
def test_nothing_is_shared_where_anything_but_the_stages_differs(changes: dict[str, Any]) -> None:
    assert common_steps(recipe(TRAIN, PRUNE), recipe(TRAIN, PRUNE, **changes)) == ()


def test_stages_are_shared_up_to_the_first_that_differs() -> None:
    one = recipe(TRAIN, PRUNE, RETRAIN)
    two = recipe(TRAIN, PRUNE, RETRAIN | {"epochs": 9})
    assert [step.name for step in common_steps(one, two)] == ["00-train", "01-prune"]
    assert common_steps(one, recipe(TRAIN | {"lr": 0.1}, PRUNE, RETRAIN)) == ()
