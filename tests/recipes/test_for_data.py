"""Recipes that fit themselves to the data set they are given."""

from typing import Any

import pytest

from secateurs._errors import ConfigError
from secateurs.recipes import data_choices, find_recipe, parse, read_yaml
from secateurs.recipes.stages import PruneStage, TrainStage, expand
from tests.recipes._studies import TRAIN, config

CONFIG: dict[str, Any] = {
    **config(TRAIN),
    "data": {"limit": 100},
    "for_data": {
        "mnist": {"batches.size": 16},
        "cifar10": {"model.name": "resnet8", "model.options": {}, "stages.0.lr": 0.2},
    },
}


def test_the_name_of_the_data_decides() -> None:
    recipe = parse(CONFIG, source="x", changes={"data.name": "cifar10"})
    assert (recipe.model.name, recipe.batches.size, recipe.data.limit) == ("resnet8", 32, 100)
    assert recipe.for_data is None
    other = parse(CONFIG, source="x", changes={"data.name": "mnist"})
    assert (other.model.name, other.batches.size) == ("mlp", 16)
    assert parse(CONFIG, source="x", changes={"data.name": "digits"}).batches.size == 32


def test_a_folder_goes_by_its_name() -> None:
    assert parse(CONFIG, source="x", changes={"data.path": "/some/where/cifar10"}).model.name == "resnet8"


def test_what_is_set_by_hand_has_the_last_word() -> None:
    changes = {"data.name": "cifar10", "stages.0.lr": 0.3}
    (train, _) = expand(parse(CONFIG, source="x", changes=changes).stages)
    assert isinstance(train.stage, TrainStage)
    assert train.stage.lr == 0.3


def test_a_resolved_recipe_stays_as_it_is() -> None:
    recipe = parse(CONFIG, source="x", changes={"data.name": "cifar10"})
    assert parse(recipe.resolved(), source="x") == recipe


def test_without_data_the_choices_are_named() -> None:
    with pytest.raises(
        ConfigError, match=r"data\.name: wanted one of mnist, cifar10, or another data set, got nothing"
    ):
        parse(CONFIG, source="x")
    assert data_choices(CONFIG, {}) == ("mnist", "cifar10")
    assert data_choices(CONFIG, {"data.name": "digits"}) == ()
    assert data_choices(config(TRAIN), {}) == ()
    assert data_choices(["no recipe"], {}) == ()


@pytest.mark.parametrize("wrong", [["mnist"], {"mnist": 3}, {"mnist": ["a"]}])
def test_values_for_data_are_mappings(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="for_data: wanted a mapping of data sets"):
        parse({**CONFIG, "for_data": wrong}, source="x", changes={"data.name": "mnist"})


@pytest.mark.parametrize(
    ("name", "model", "widths"),
    [
        ("mnist", "mlp", [22, 12]),
        ("fashion_mnist", "mlp", [22, 12]),
        ("cifar10", "fc_head", [121, 58]),
        ("cifar100", "fc_head", [121, 58]),
    ],
)
def test_train_time_knows_its_four_data_sets(name: str, model: str, widths: list[int]) -> None:
    path = find_recipe("train_time")
    assert data_choices(read_yaml(path), {}) == ("mnist", "fashion_mnist", "cifar10", "cifar100")
    recipe = parse(read_yaml(path), source="train_time", changes={"data.name": name})
    assert recipe.model.name == model
    assert sum(isinstance(step.stage, PruneStage) for step in expand(recipe.stages)) == 7
    assert recipe.variants is not None
    assert list(recipe.variants) == ["none", "importance", "random", "worst", "rebuilt", "scratch"]
    assert recipe.variants["scratch"]["model.options"]["widths"] == widths
