"""What docs/networks.md and the recipe say of the networks is true."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from secateurs import models
from secateurs.cost import training_cost
from secateurs.recipes import find_recipe, read_yaml
from secateurs.training import TrainOptions

PAGE = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE, re.MULTILINE)
RATES: dict[str, dict[str, Any]] = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])


def test_the_page_has_every_network_in_the_order_of_the_table() -> None:
    assert [name for name, _ in ROWS] == list(models.TABLE)


@pytest.mark.parametrize(("name", "row"), ROWS)
def test_rows_say_what_the_table_says(name: str, row: str) -> None:
    entry = models.TABLE[name]
    shape, classes, parameters, _, _, options, paper = row.split(" | ")
    assert tuple(map(int, shape.split("x"))) == entry.input_shape
    assert int(classes) == entry.classes
    assert int(parameters.replace(",", "")) == entry.parameters
    assert options.split(", ") == list(entry.options)
    assert paper == entry.paper


@pytest.mark.parametrize(("name", "row"), [row for row in ROWS if row[0] in ("alexnet", "resnet20", "mobilenet_v2")])
def test_rows_say_what_is_counted(name: str, row: str) -> None:
    with torch.device("meta"):
        counted = training_cost(models.build(name), torch.zeros(1, *models.TABLE[name].input_shape))
    assert row.split(" | ")[3:5] == [f"{counted.inference_gops:.4g}", f"{counted.image_gops:.4g}"]


@pytest.mark.parametrize("name", RATES)
def test_rates_are_those_of_the_recipe(name: str) -> None:
    config = read_yaml(find_recipe("cifar100_networks"))
    changes = config["variants"][name]
    for key, value in RATES[name].items():
        assert changes.get(f"stages.0.{key}", config["stages"][0][key]) == value
    assert changes.get("model.name", config["model"]["name"]) == name
    pairs = tuple((epoch, rate) for epoch, rate in RATES[name]["rates"])
    assert TrainOptions(epochs=30, schedule="list", rates=pairs, gamma=0.1).rates == pairs
