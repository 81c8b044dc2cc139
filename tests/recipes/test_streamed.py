"""Runs on images that are decoded as they are needed."""

from pathlib import Path
from typing import Any

from secateurs.recipes import RunOptions, run
from tests.data.making import picture
from tests.recipes._studies import PRUNE, TRAIN, read_json, recipe, weights

AUGMENT = {"crop": 1, "crop_padding": "reflect", "flip": 0.25, "cutout": 2}


def test_held_and_streamed_runs_end_in_the_same_weights(tmp_path: Path) -> None:
    lines: list[str] = []
    for resident in (True, False):
        data = {"name": "digits", "limit": 200, "resident": resident}
        study = recipe(TRAIN, PRUNE, data=data, batches={"size": 32, **AUGMENT})
        run(study, tmp_path / str(resident), RunOptions(notify=lines.append))
    assert "250 images, 16 KiB, held on cpu" in lines
    assert "250 images, streamed, as data.resident asks" in lines
    held, streamed = (weights(tmp_path / name) for name in ("True", "False"))
    assert [Path(name).name for name in held] == ["model.safetensors", "model.safetensors", "scores.safetensors"]
    assert held == streamed


def test_images_of_many_sizes_are_trained_and_judged_in_one(tmp_path: Path) -> None:
    for number, label in enumerate(("cat", "dog")):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for row in range(20):
            image = picture(row + 100 * number, side=20 + row, mode="L")
            image.save(tmp_path / "pets" / label / f"{row:02}.jpg")
    colour: dict[str, Any] = {"brightness": 0.2, "probability": 0.5}
    lines: list[str] = []
    study = recipe(
        TRAIN,
        data={"path": str(tmp_path / "pets")},
        batches={"size": 8, "resized_crop": {"size": 8}, "colour": colour},
    )
    run(study, tmp_path / "run", RunOptions(notify=lines.append))
    assert "40 images, streamed: they differ in size" in lines
    state = read_json(tmp_path / "run" / "run.json")
    assert state["status"] == "finished"
    assert state["summary"]["after"]["macs"] > 0
