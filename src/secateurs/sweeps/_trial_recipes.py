"""The runs of a trial: the recipe with the trial's values, once for each seed."""

from collections.abc import Mapping
from typing import Any

from secateurs._errors import ConfigError
from secateurs._nearest import nearest_hint
from secateurs.recipes import Recipe, override, parse
from secateurs.recipes.stages import expand
from secateurs.sweeps._config import Sweep
from secateurs.sweeps._figures import FIGURES
from secateurs.sweeps._space import changes

__all__ = ["trial_recipes"]

_OF_STUDIES = ("variants", "factors", "for_data", "seeds")


def trial_recipes(sweep: Sweep, values: Mapping[str, Any], *, source: str) -> dict[int, Recipe]:
    """Seed to recipe, each for an ordinary run that ends with a measurement by validation images.

    Raises:
        ConfigError: values that make no recipe, or one that has nothing to choose by.
    """
    wanted = {**sweep.overrides, **changes(sweep.space, values)}
    variant = wanted.pop("variant", sweep.variant)
    recipe = parse(sweep.recipe, source=source, changes=wanted)
    plain = {key: value for key, value in recipe.resolved().items() if key not in ("variants", "factors", "seeds")}
    own = {path: value for path, value in wanted.items() if path.partition(".")[0] not in _OF_STUDIES}
    plain = override(plain, {**_of_variant(recipe, variant, source), **own})
    plain["stages"] = _judged_by_validation(plain["stages"])
    seeds = sweep.seeds or recipe.seeds or (plain["seed"],)
    found = {seed: parse({**plain, "seed": seed}, source=source) for seed in seeds}
    for made in found.values():
        _check(made, sweep)
    return found


def _of_variant(recipe: Recipe, variant: Any, source: str) -> Mapping[str, Any]:
    known = recipe.variants or {}
    if variant is None and not known:
        return {}
    if variant in known:
        return known[variant]
    names = ", ".join(known) or "none"
    raise ConfigError(
        "variant",
        wanted="one of the recipe's variants" if known else "no variant, because the recipe has none",
        got=repr(variant) if variant is not None else "nothing",
        cure=f"{nearest_hint(variant, known, f'There are: {names}.')} Or search several: space.variant. (in {source})",
    )


def _judged_by_validation(stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Trials are chosen by the network that they end with, whatever stage has made it."""
    if stages[-1]["type"] == "measure":
        return [*stages[:-1], {**stages[-1], "validation": True}]
    return [*stages, {"type": "measure", "validation": True}]


def _check(recipe: Recipe, sweep: Sweep) -> None:
    for step in expand(recipe.stages):
        step.stage.check()
    for name in sweep.objectives:
        purpose = FIGURES[name].purpose
        if purpose not in (None, recipe.purpose):
            fitting = next(other for other, figure in FIGURES.items() if figure.purpose == recipe.purpose)
            raise ConfigError(
                "objectives",
                wanted=f"a figure of a network whose objective is {recipe.purpose}",
                got=repr(name),
                cure=f"Use {fitting}.",
            )
    if not recipe.data.validation_ratio and recipe.data.split_from is None:
        raise ConfigError(
            "data.validation_ratio",
            wanted="validation images, by which trials are chosen",
            got="0",
            cure="Set overrides: {data.validation_ratio: 0.1} in the sweep.",
        )
    if sweep.stop is not None and recipe.devices * recipe.nodes > 1:
        raise ConfigError(
            "stop",
            wanted="runs on one device each, because a run of several ranks is not ended early",
            got=f"devices: {recipe.devices}, nodes: {recipe.nodes}",
            cure="Leave `stop` out, or set devices and nodes to 1.",
        )
    if recipe.nodes > 1:
        raise ConfigError(
            "nodes",
            wanted="trials on one machine each",
            got=str(recipe.nodes),
            cure="Set nodes to 1: a sweep fills machines with trials.",
        )
