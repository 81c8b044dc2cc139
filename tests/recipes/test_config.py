"""Recipes: what is accepted, and what is said about the rest."""

import copy
from dataclasses import fields
from typing import Any

import pytest

from secateurs import SecateursError
from secateurs.data import DataOptions
from secateurs.recipes import Recipe, parse, schema
from secateurs.recipes.stages import TrainStage, expand
from secateurs.training import TrainOptions

RECIPE: dict[str, Any] = {
    "name": "small",
    "model": {"name": "resnet8"},
    "data": {"name": "digits"},
    "stages": [
        {"type": "train", "epochs": 2},
        {"type": "prune", "remove": {"macs": 0.5}},
        {"type": "train", "name": "retrain", "epochs": 1},
    ],
}


def changed(**values: Any) -> Recipe:
    """RECIPE with dotted keys (a double underscore for each dot) changed."""
    return parse(RECIPE, source="small.yaml", changes={key.replace("__", "."): value for key, value in values.items()})


def test_every_training_and_data_option_is_an_option_of_a_recipe() -> None:
    definitions = schema()["$defs"]
    training = {field.name for field in fields(TrainOptions)} - {"seed", "device"}
    assert training | {"type", "name", "regularise", "distil"} == set(definitions["TrainStage"]["properties"])
    assert {field.name for field in fields(DataOptions)} == set(definitions["DataSection"]["properties"])


def test_stage_options_take_the_runs_seed_and_device() -> None:
    stage = changed(stages__0__lr=0.25).stages[0]
    assert isinstance(stage, TrainStage)
    assert stage.options(seed=7, device="cpu") == TrainOptions(epochs=2, lr=0.25, seed=7, device="cpu")


def test_resolved_config_gives_the_same_recipe_back() -> None:
    recipe = changed(seed=3, data__validation_ratio=0.25, stages__1__scope="layerwise")
    assert parse(recipe.resolved(), source="resolved") == recipe
    assert recipe.resolved()["stages"][0]["momentum"] == 0.9


def test_changes_do_not_touch_the_config_that_was_read() -> None:
    before = copy.deepcopy(RECIPE)
    changed(stages__0__epochs=9)
    assert before == RECIPE


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"modle__name": "x"}, r"^modle: wanted a known key, got 'modle'\. Did you mean 'model'\?"),
        ({"data__pth": "x"}, r"^data\.pth: .*Did you mean 'path'\?"),
        ({"stages__0__epoch": 3}, r"^stages\.0\.epoch: .*Did you mean 'epochs'\?"),
        ({"stages__1__remove__mac": 0.5}, r"^stages\.1\.remove\.mac: .*Did you mean 'macs'\?"),
        ({"stages__1__criterion": {"nam": "x"}}, r"^stages\.1\.criterion\.nam: .*Did you mean 'name'\?"),
        ({"stages__0__type": "trian"}, r"^stages\.0\.type: .*got 'trian'\. Did you mean 'train'\?"),
        ({"stages__0__seed": 1}, r"^stages\.0\.seed: wanted a known key"),
        ({"stages__0__epochs": "three"}, r"^stages\.0\.epochs: wanted a valid integer, got 'three'"),
        ({"stages__0__lr": -1}, r"^stages\.0\.lr: wanted a number above 0, got -1"),
        ({"stages__1__remove__macs": "half"}, r"^stages\.1\.remove\.macs: wanted a valid number, got 'half'"),
        ({"stages__1__remove__macs": 1.5}, r"^stages\.1\.remove\.macs: wanted less than 1, got 1\.5"),
        ({"stages__1__scope": "globl"}, r"^stages\.1\.scope: wanted 'global' or 'layerwise' or a mapping, got 'globl'"),
        ({"stages__1__remove": None}, r"^stages\.1: wanted `remove`"),
        ({"stages": []}, r"^stages: wanted a list that is not empty"),
        ({"stages__7__epochs": 1}, r"^stages\.7: wanted an index from 0 to 2"),
        ({"name__x": 1}, r"^name: wanted a mapping or a list, because name\.x leads through it"),
        ({"name": "../up"}, r"^name: wanted a name of letters"),
        ({"model__factory": "a:b"}, r"^model: wanted either `name` or `factory`"),
        ({"data__limit": -3}, r"^data\.limit: wanted 1 or more images, got -3"),
        ({"data__name": None}, r"^data: wanted either data\.name or data\.path"),
        ({"seeds": [1, 1]}, r"wanted `seeds` that differ"),
        ({"variants": {"a": {"sede": 3}}}, r"^sede: .*Did you mean 'seed'\? \(in small\.yaml, variant a\)"),
    ],
)
def test_mistakes_are_named_with_their_place_and_cure(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SecateursError, match=message):
        changed(**values)


def test_missing_keys_are_named() -> None:
    with pytest.raises(SecateursError, match=r"^model: wanted a value, got nothing"):
        parse({key: value for key, value in RECIPE.items() if key != "model"}, source="x.yaml")


@pytest.mark.parametrize("content", [None, 3, "text", [1]])
def test_a_file_that_is_no_mapping_is_refused(content: Any) -> None:
    with pytest.raises(SecateursError, match=r"^x\.yaml: wanted a mapping"):
        parse(content, source="x.yaml")


def test_repeats_are_written_out_and_a_measurement_ends_every_run() -> None:
    train, prune = {"type": "train", "epochs": 1}, {"type": "prune", "remove": {"units": 0.1}}
    again = {"type": "repeat", "times": 2, "stages": [prune, {**train, "name": "retrain"}]}
    names = [step.name for step in expand(changed(stages=[train, again]).stages)]
    assert names == ["00-train", "01-prune", "02-retrain", "03-prune", "04-retrain", "05-measure"]


def test_a_measurement_at_the_end_is_not_doubled() -> None:
    steps = expand(changed(stages=[{"type": "train"}, {"type": "measure", "latency": False}]).stages)
    assert [step.name for step in steps] == ["00-train", "01-measure"]


_TRAIN: dict[str, Any] = {"type": "train", "epochs": 1}
_KEEP: dict[str, Any] = {"type": "prune", "remove": {"macs": 0.1}, "keep_optimizer": True}


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([_KEEP, _TRAIN], "a train stage before 00-prune"),
        ([_TRAIN, {**_KEEP, "keep_optimizer": False}, _KEEP, _TRAIN], "a train stage before 02-prune"),
        ([_TRAIN, _KEEP, {**_TRAIN, "optimizer": "adamw"}], "optimizer 'sgd' in 02-train too"),
    ],
)
def test_keeping_an_optimizer_that_cannot_be_kept_is_refused(stages: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(SecateursError, match=message):
        changed(stages=stages)


def test_an_optimizer_may_be_kept_through_every_round() -> None:
    stages = [_TRAIN, {"type": "repeat", "times": 3, "stages": [_KEEP, _TRAIN]}]
    assert len(expand(changed(stages=stages).stages)) == 8
