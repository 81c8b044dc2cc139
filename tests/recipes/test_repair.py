"""Recipes that repair after a cut."""

from pathlib import Path
from typing import Any

import pytest

from secateurs._errors import ConfigError
from secateurs.recipes import run
from tests.recipes._studies import TRAIN, read_json, recipe

CUT: dict[str, Any] = {"type": "prune", "remove": {"macs": 0.5}, "criterion": "reconstruction"}
MEASURE: dict[str, Any] = {"type": "measure"}


def _stages(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_json(path / "run.json")["stages"]
    return found


@pytest.mark.parametrize("repair", [True, {"images": 100, "ridge": 1e-4, "parallel": True}])
def test_a_repaired_cut_is_better_and_says_what_was_done(tmp_path: Path, repair: object) -> None:
    run(recipe(TRAIN, CUT, MEASURE), tmp_path / "cut")
    run(recipe(TRAIN, {**CUT, "repair": repair}, MEASURE), tmp_path / "repaired")
    before, after = (_stages(tmp_path / name) for name in ("cut", "repaired"))
    assert "repaired" not in before[1]["results"]
    done = after[1]["results"]["repaired"]
    assert done["layers"]
    assert all(layer["after"] <= layer["before"] * (1 + 1e-9) or repair is not True for layer in done["layers"])
    assert after[1]["results"]["axes"] == before[1]["results"]["axes"]
    accuracies = [
        read_json(tmp_path / name / "run.json")["summary"]["after"]["test_accuracy"] for name in ("cut", "repaired")
    ]
    assert accuracies[1] >= accuracies[0]


def test_unknown_options_of_a_repair_are_refused() -> None:
    with pytest.raises(ConfigError, match="repair"):
        recipe(TRAIN, {**CUT, "repair": {"image": 100}})
