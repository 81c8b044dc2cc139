"""The report of a real study in levels."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from secateurs._files import load_tensors
from secateurs.data import load
from secateurs.recipes import parse, run
from secateurs.reporting import read_run
from secateurs.reporting._levels import level_runs
from secateurs.reporting._levels_images import memorised
from secateurs.reporting._record import member_runs

LEVELS: dict[str, Any] = {
    "type": "levels",
    "ratio": 0.2,
    "levels": 2,
    "protect": ["conv1"],
    "unitmem": {"images": 30, "augmentations": 2},
    "train": {"epochs": 1, "patience": 1},
}
CONFIG: dict[str, Any] = {
    "name": "small",
    "model": {"name": "resnet8", "options": {"width": 0.25}},
    "data": {"name": "digits", "limit": 150, "validation_ratio": 0.2},
    "batches": {"size": 32},
    "device": "cpu",
    "threads": 1,
    "stages": [{"type": "train", "epochs": 1}, LEVELS, {"type": "measure", "latency": False}],
    "seeds": [0],
    "variants": {"low": {}, "random": {"stages.1.choice": "random"}},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("levels") / "study"
    run(parse(CONFIG, source="small.yaml"), path)
    return path


def test_the_report_says_what_the_runs_say(study: Path) -> None:
    table = (study / "levels.md").read_text()
    for variant in ("low", "random"):
        stages = json.loads((study / variant / "0" / "run.json").read_text())["stages"]
        levels = [stage["results"] for stage in stages if stage["type"] == "level"]
        trained = [stage["results"] for stage in stages if stage["type"] == "train"][1:]
        removed = 0
        for number, (level, training) in enumerate(zip(levels, trained, strict=True)):
            removed += level["removed_count"]
            cells = [
                variant,
                str(number),
                "1",
                f"{level['sparsity']:.2f}",
                f"{removed} of {level['units']} units",
                f"{100 * level['after']['test_accuracy']:.2f}",
                f"{100 * training['validation_accuracy']:.2f}",
                f"{100 * training['test_accuracy']:.2f}",
                f"{level['after']['params']:,}",
                f"{level['after']['macs']:,}",
                f"{level['mean_unitmem']:.4f}",
            ]
            assert f"| {' | '.join(cells)} |" in table.splitlines()


def test_pictures_are_drawn_when_runs_and_studies_end(study: Path) -> None:
    assert {path.name for path in (study / "plots").iterdir()} == {
        "levels.png",
        "levels_layers.png",
        "unitmem.png",
        "unitmem_layers.png",
    }
    names = {path.name for path in (study / "low" / "0" / "plots").iterdir()}
    assert {"unitmem_units.png", "unitmem_violins.png", "unitmem_images_level_00.png"} <= names
    assert not (study / "cuts.md").exists()


def test_the_sheet_shows_the_training_images_of_these_indices(study: Path) -> None:
    train = load(parse(CONFIG, source="small.yaml").data).train
    rows = {index: row for row, index in enumerate(train.indices.tolist())}
    levels = [level for run_ in level_runs(member_runs(read_run(study))) for level in run_.levels]
    assert len(levels) == 4
    none = torch.empty(0)
    for level in levels:
        tensors, _ = load_tensors(level.folder / "unitmem.safetensors")
        found = memorised(level)
        # A layer that is down to one unit is scored no more, and dead units have no image.
        assert list(found) == [layer for layer in level.lost if (tensors.get(f"{layer}.images", none) >= 0).any()]
        for layer, images in found.items():
            values, places = tensors[f"{layer}.values"], tensors[f"{layer}.images"]
            assert images[0].value == float(values.max())
            for shown in images:
                assert torch.equal(shown.image, train.images[rows[shown.index]])  # type: ignore[union-attr]
                assert shown.units == int((places == shown.index).sum())
                assert shown.value == float(values[places == shown.index].max())
