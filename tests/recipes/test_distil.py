"""The ready study `distil`, small."""

from pathlib import Path
from typing import Any

import pytest

from secateurs.recipes import find_recipe, parse, read_yaml, run
from tests.recipes._studies import read_json

SMALL: dict[str, Any] = {
    "model": {"name": "resnet8", "options": {"width": 0.5}},
    "data": {"name": "digits", "limit": 200},
    "batches": {"size": 32},
    "device": "cpu",
    "seeds": [0],
    "stages.0.stages.0.epochs": 1,
    "stages.2.epochs": 1,
    "stages.2.warmup_epochs": 0,
}


def test_all_variants_can_be_read() -> None:
    study = parse(read_yaml(find_recipe("distil")), source="distil", changes={"model.weights": None})
    assert list(study.variants or {}) == ["labels", "scores", "features", "both", "sparse", "sparse_both"]


@pytest.mark.slow
def test_all_variants_run(tmp_path: Path) -> None:
    run(parse(read_yaml(find_recipe("distil")), source="distil", changes=SMALL), tmp_path / "study")
    for name in ("labels", "scores", "features", "both", "sparse", "sparse_both"):
        state = read_json(tmp_path / "study" / name / "0" / "run.json")
        assert state["status"] == "finished"
        assert state["summary"]["removed"]["macs"] >= 0.5
