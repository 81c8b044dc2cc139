"""The sheet of images that units have memorised."""

from pathlib import Path

import pytest
import torch

from secateurs._files import load_tensors, save_tensors
from secateurs.reporting import read_run
from secateurs.reporting._levels import Level, level_runs
from secateurs.reporting._levels_images import IMAGES_FILE, memorised, memorised_figure
from tests.reporting._level_runs import Method, Shape, write_level_run


@pytest.fixture
def level(tmp_path: Path) -> Level:
    """A level of eight images of 3 x 3 pixels; those of conv1 are set by hand."""
    path = write_level_run(tmp_path / "run", Method(drop=0.1), 0, Shape(images=8, side=3, channels=3))
    found = level_runs([(None, read_run(path))])[0].levels[0]
    file = found.folder / "unitmem.safetensors"
    tensors, _ = load_tensors(file)
    tensors["conv1.values"] = torch.tensor([0.5, 0.9, 0.7, 0.0], dtype=torch.float64)
    tensors["conv1.images"] = torch.tensor([106, 103, 106, -1])  # the last unit is dead
    save_tensors(file, tensors)
    return found


def test_each_image_is_shown_once_with_its_highest_value(level: Level) -> None:
    found = memorised(level)
    assert list(found) == ["conv1", "conv2"]
    assert [(shown.index, shown.value, shown.units) for shown in found["conv1"]] == [(103, 0.9, 1), (106, 0.7, 2)]
    values = [shown.value for shown in found["conv2"]]
    assert values == sorted(values, reverse=True)
    # Index 100 + 3 n is of the image with grey of level n.
    assert all((shown.image == (shown.index - 100) // 3).all() for shown in found["conv2"])


def test_the_sheet_has_a_row_for_each_layer_and_values_below(level: Level) -> None:
    found = memorised(level)
    axes = memorised_figure("levels", level, found).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["conv1", "conv2"]
    assert [text.get_text() for text in axes.texts[:2]] == ["0.900\n#103", "0.700 x2\n#106"]
    assert len(axes.images) == len(axes.texts) == sum(map(len, found.values()))
    assert axes.images[1].get_array().shape == (3, 3, 3)
    assert (axes.images[1].get_array() == 2).all()
    # Pictures of a row stand side by side, those of the next row below.
    first, second, below = (axes.images[number].get_extent() for number in (0, 1, 2))
    assert first[1] < second[0]
    assert first[2:] == second[2:]
    assert below[3] > axes.texts[0].get_position()[1] > first[2]


def test_a_level_without_pictures_has_no_sheet(level: Level) -> None:
    (level.folder / IMAGES_FILE).unlink()
    assert memorised(level) == {}
