"""Sweep files that make no sense are refused with the place, the nearest name and a cure."""

import json
from pathlib import Path
from typing import Any

import pytest

from secateurs._errors import ConfigError, SecateursError
from secateurs.recipes import dump_yaml, find_recipe, parse_yaml, read_yaml
from secateurs.sweeps import find_sweep, parse_sweep, ready_sweeps, run_sweep, sweep_schema
from secateurs.sweeps._trial_recipes import trial_recipes
from tests.sweeps._sweeps import RECIPE, sweep

LR = {"stages.0.lr": {"low": 0.1, "high": 0.2}}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"serach": "grid"}, r"serach: wanted a known key, got 'serach'. Did you mean 'search'\?"),
        ({"search": "bayes"}, r"search: wanted 'grid', 'random' or 'optuna', got 'bayes'"),
        ({"space": {}}, r"space"),
        ({"space": {"seed": []}}, r"space.seed: wanted values that differ, at least one, got \[\]"),
        ({"space": {"seed": [1, 1]}}, r"space.seed: wanted values that differ"),
        ({"space": {"a": {"low": 1, "high": 1}}}, r"space.a: wanted `low` below `high`"),
        ({"space": {"a": {"low": 0, "high": 1, "log": True}}}, r"wanted `low` above 0, because `log` is true"),
        ({"space": {"a": {"low": 0, "high": 8, "step": 1, "count": 2}}}, r"wanted `step` alone, or `count`"),
        ({"space": {"a": {"low": 0, "hihg": 8}}}, r"space.a.hihg: wanted a known key.*Did you mean 'high'\?"),
        ({"space": {"seed": [1], "x": {"choices": {"one": {"seed": 2}}}}}, r"space.x: .*space.seed does not set"),
        ({"space": {"a": list(range(101)), "b": list(range(100))}}, r"space: wanted at most 10,000 trials, got 10,100"),
        ({"search": "random", "space": LR}, r"`trials`, because the search is random"),
        ({"trials": 3}, r"no `trials`, because a grid"),
        ({"objectives": ["acuracy"]}, r"objectives.*got 'acuracy'. Did you mean 'validation_accuracy'\?"),
        ({"objectives": ["macs", "macs"]}, r"objectives that differ"),
        ({"seeds": [1, 1]}, r"`seeds` that differ"),
        ({"resources": {"gpus": 1.5}}, r"resources: wanted a whole number of `gpus`, or less than one"),
        ({"stop": {"rule": "medain"}}, r"stop.rule: wanted 'median' or 'halving', got 'medain'"),
        ({"recipe": "quikstart"}, r"quikstart: wanted a recipe file.*Did you mean 'quickstart'\?"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        sweep(**values)


@pytest.mark.parametrize("name", ["test_accuracy", "test_elbo", "test_macs"])
def test_nothing_is_chosen_by_test_images(name: str) -> None:
    with pytest.raises(
        ConfigError, match=r"a figure of validation images, or a cost, got 'test_.*Choose by validation"
    ):
        sweep(objectives=[name])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"space": {"stages.1.remvoe.macs": [0.2]}}, r"stages.1.remvoe: .*Did you mean 'remove'\?"),
        ({"space": {"stages.1.criterion": ["magnitud"]}}, r"criterion: .*got 'magnitud'. Did you mean 'magnitude'\?"),
        ({"overrides": {"data.validation_ratio": 0.0}}, r"data.validation_ratio: wanted validation images"),
        (
            {"objectives": ["validation_elbo"]},
            r"objective is classification, got 'validation_elbo'. Use validation_acc",
        ),
        ({"variant": "b"}, r"variant: wanted no variant, because the recipe has none, got 'b'"),
        ({"stop": {"rule": "median"}, "overrides": {"devices": 2}}, r"stop: wanted runs on one device each"),
        ({"overrides": {"nodes": 2}}, r"nodes: wanted trials on one machine each, got 2"),
        ({"recipe": {**RECIPE, "variants": {"a": {}, "c": {}}}}, r"one of the recipe's variants, got nothing.*a, c"),
    ],
)
def test_what_does_not_fit_the_recipe_is_refused_before_any_work(
    values: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SecateursError, match=message):
        run_sweep(sweep(**values), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_trial_sets_its_values_after_those_of_the_variant_and_is_judged_by_validation() -> None:
    variants = {"slow": {"stages.0.lr": 0.001, "stages.0.epochs": 7}, "fast": {"stages.0.lr": 1.0}}
    made = sweep(
        recipe={**RECIPE, "variants": variants, "seeds": [4, 5]},
        overrides={"stages.0.epochs": 3},
        space={"variant": ["slow", "fast"], "stages.0.momentum": [0.5]},
    )
    found = trial_recipes(made, {"variant": "slow", "stages.0.momentum": 0.5}, source="here")
    assert list(found) == [4, 5]
    plain = found[5].resolved()
    assert (plain["seed"], plain["variants"], plain["seeds"]) == (5, None, None)
    first, last = plain["stages"][0], plain["stages"][-1]
    assert (first["lr"], first["epochs"], first["momentum"]) == (0.001, 3, 0.5)
    assert (last["type"], last["validation"], last["latency"]) == ("measure", True, False)


def test_a_measurement_is_added_where_a_recipe_ends_otherwise() -> None:
    made = sweep(recipe={**RECIPE, "stages": RECIPE["stages"][:-1]})
    plain = trial_recipes(made, {"stages.1.remove.macs": 0.2}, source="here")[0].resolved()
    assert [stage["type"] for stage in plain["stages"]] == ["train", "prune", "train", "measure"]
    assert plain["stages"][-1]["validation"] is True


def test_a_sweep_reads_back_as_it_was_resolved_with_the_recipe_inside(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(dump_yaml(RECIPE))
    config = {"name": "x", "recipe": "mine.yaml", "space": {"seed": [1, 2], "lr": {"choices": {"a": {}}}}}
    made = parse_sweep(config, source="x", home=tmp_path)
    assert made.recipe == read_yaml(tmp_path / "mine.yaml")
    again = parse_sweep(parse_yaml(dump_yaml(made.resolved()), where="x"), source="x")
    assert again == made


def test_overrides_reach_keys_that_are_dotted_paths() -> None:
    config = {"name": "x", "recipe": RECIPE, "space": {"stages.0.lr": [0.1]}, "overrides": {"seed": 3}}
    changes = {"overrides.data.limit": 50, "space.stages.0.lr": [0.2, 0.3], "resources.cpus": 2}
    made = parse_sweep(config, source="x", changes=changes)
    assert made.overrides == {"seed": 3, "data.limit": 50}
    assert made.space == {"stages.0.lr": (0.2, 0.3)}
    assert made.resources.cpus == 2


@pytest.mark.parametrize("path", ready_sweeps(), ids=lambda path: path.stem)
def test_ready_sweeps_fit_their_recipes(path: Path) -> None:
    made = parse_sweep(read_yaml(find_sweep(path.stem)), source=str(path), home=path.parent)
    assert made.description
    values = {key: next(iter(dimension)) for key, dimension in made.space.items() if isinstance(dimension, tuple)}
    assert trial_recipes(made, values, source=path.stem)
    assert find_recipe("quickstart").is_file()


def test_the_schema_describes_every_key() -> None:
    schema = sweep_schema()
    assert json.dumps(schema)
    undescribed = [
        name for name, part in schema["properties"].items() if "description" not in part and "$ref" not in part
    ]
    assert set(undescribed) <= {"description", "resources"}
