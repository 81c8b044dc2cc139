"""Variants for every combination of factors."""

from typing import Any

import pytest

from secateurs._errors import ConfigError
from secateurs.recipes import parse, parse_override
from secateurs.recipes._overrides import override
from secateurs.recipes._study import members
from tests.recipes._studies import PRUNE, TRAIN, config

FACTORS: dict[str, Any] = {
    "width": {"wide": {"model.options": {"widths": [64]}}, "thin": {"model.options": {"widths": [16]}}},
    "level": {"50": {"stages.1.remove": {"params": 0.5}}, "80": {"stages.1.remove": {"params": 0.8}}},
}


def study(variants: dict[str, Any], factors: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    return config(TRAIN, PRUNE, variants=variants, factors=factors or FACTORS, **values)


def test_a_variant_is_written_out_for_every_combination() -> None:
    recipe = parse(study({"plain": {}, "cut": {"for_each": ["width", "level"], "seed": 3}}), source="x")
    assert list(recipe.variants or {}) == ["plain", "cut-wide-50", "cut-wide-80", "cut-thin-50", "cut-thin-80"]
    assert recipe.factors is None
    last = members(recipe)[-1]
    assert (last.variant, last.seed) == ("cut-thin-80", 3)
    assert last.recipe.model.options == {"widths": [16]}
    assert last.recipe.resolved()["stages"][1]["remove"] == {"params": 0.8}
    assert parse(recipe.resolved(), source="again") == recipe


def test_a_variants_own_values_have_the_last_word() -> None:
    own = {"for_each": ["level"], "stages.1.remove": {"params": 0.1}}
    recipe = parse(study({"cut": own}), source="x")
    assert (recipe.variants or {})["cut-80"] == {"stages.1.remove": {"params": 0.1}}


def test_null_leaves_a_choice_or_a_variant_out() -> None:
    changes = dict(map(parse_override, ["factors.width.wide=null", "variants.plain=null"]))
    recipe = parse(study({"plain": {}, "cut": {"for_each": ["width", "level"]}}), source="x", changes=changes)
    assert list(recipe.variants or {}) == ["cut-thin-50", "cut-thin-80"]


def test_overrides_reach_values_with_dotted_keys() -> None:
    changed = override(
        study({"cut": {"stages.0.epochs": 3}}),
        {
            "factors.width.wide.model.options.widths": [8],
            "factors.width.thin.batches.size": 4,
            "variants.cut.stages.0.epochs": 5,
            "variants.cut.stages.0.lr": 0.5,
            "stages.0.epochs": 7,
        },
    )
    assert changed["factors"]["width"]["wide"] == {"model.options": {"widths": [8]}}
    assert changed["factors"]["width"]["thin"] == {"model.options": {"widths": [16]}, "batches.size": 4}
    assert changed["variants"]["cut"] == {"stages.0.epochs": 5, "stages.0.lr": 0.5}
    assert changed["stages"][0]["epochs"] == 7


def test_overrides_reach_variants_that_a_data_set_brings() -> None:
    config = study({}) | {"for_data": {"digits": {"stages.0.epochs": 3, "variants": {"thin": {"model.name": "x"}}}}}
    changed = override(config, {"for_data.digits.variants.thin.model.options.width": 8, "for_data.digits.seed": 3})
    assert changed["for_data"]["digits"] == {
        "stages.0.epochs": 3,
        "variants": {"thin": {"model.name": "x", "model.options.width": 8}},
        "seed": 3,
    }


@pytest.mark.parametrize(
    ("variants", "factors", "message"),
    [
        ({"cut": {"for_each": ["widht"]}}, FACTORS, r"variants\.cut\.for_each: .* got 'widht'\. Did you mean 'width'"),
        ({"cut": {"for_each": []}}, FACTORS, r"variants\.cut\.for_each: wanted a list of factors"),
        ({"cut": {"for_each": ["width"]}}, {"width": {"wide": None}}, r"factors\.width: wanted at least one choice"),
        ({"cut": {"for_each": ["width"]}}, {"width": [1, 2]}, r"factors: wanted a mapping"),
        ({"cut": {"for_each": ["bad"]}}, {"bad": {"x": {"model.nmae": 1}}}, r"nmae.*variant cut-x"),
    ],
)
def test_what_cannot_be_written_out_is_refused(variants: Any, factors: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(study(variants, factors), source="x")
