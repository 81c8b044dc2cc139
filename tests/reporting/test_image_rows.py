"""Pictures that stages left, side by side."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from secateurs._files import save_tensors
from secateurs.reporting import read_run, write_plots
from secateurs.reporting._image_rows import image_rows, image_rows_figure


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Trained, cut, and in the middle of another training; a measurement in between left no pictures."""
    stages: list[dict[str, Any]] = [
        {"name": "00-train", "status": "finished", "results": {"test_elbo": -240.04}},
        {"name": "01-prune", "status": "finished", "results": {"after": {"test_elbo": -260.5}}},
        {"name": "02-measure", "status": "finished", "results": {}},
        {"name": "03-train", "status": "running", "results": None},
    ]
    for number in (0, 1, 3):
        levels = {"images": 200, "reconstructions": number, "samples": number}
        tensors = {name: torch.full((3, 1, 4, 5), level, dtype=torch.uint8) for name, level in levels.items()}
        folder = tmp_path / "stages" / stages[number]["name"]
        folder.mkdir(parents=True)
        save_tensors(folder / "pictures.safetensors", tensors)
    (tmp_path / "run.json").write_text(json.dumps({"name": "vae", "stages": stages}))
    return tmp_path


def test_every_finished_stage_has_a_row_and_images_come_first(run: Path) -> None:
    record = read_run(run)
    rows = image_rows(record, "reconstructions")
    assert [name for name, _ in rows] == ["images", "00-train\n-240.0", "01-prune\n-260.5"]
    assert [int(images.float().mean()) for _, images in rows] == [200, 0, 1]
    assert [name.partition("\n")[0] for name, _ in image_rows(record, "samples")] == ["00-train", "01-prune"]


def test_the_sheet_has_the_images_in_their_places(run: Path) -> None:
    record = read_run(run)
    axes = image_rows_figure(record, "samples", image_rows(record, "samples")).axes[0]
    sheet = axes.images[0].get_array()
    # Two rows of three images of 4 x 5 pixels, with two white ones after each.
    assert sheet.shape == (2 * 6, 3 * 7)
    assert (sheet[:4, :5] == 0).all()
    assert (sheet[6:10, 14:19] == 1).all()
    assert (sheet[4:6] == 255).all()
    assert (sheet[:, 5:7] == 255).all()


def test_a_run_with_pictures_gets_both_sheets(run: Path) -> None:
    assert [path.name for path in write_plots(run)] == ["reconstructions.png", "samples.png"]
