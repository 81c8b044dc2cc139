"""Whole studies: one config file, carried out stage by stage in a run directory."""

from secateurs.recipes._config import Recipe, parse, schema
from secateurs.recipes._for_data import data_choices
from secateurs.recipes._lock import is_held
from secateurs.recipes._model import build_model, call_factory, import_factory, load_weights
from secateurs.recipes._overrides import parse_override
from secateurs.recipes._ranks import speaks
from secateurs.recipes._ready import ReadyRecipe, find_recipe, ready_recipes
from secateurs.recipes._run import RunOptions
from secateurs.recipes._study import run
from secateurs.recipes._yaml import parse_yaml, read_yaml

__all__ = [
    "ReadyRecipe",
    "Recipe",
    "RunOptions",
    "build_model",
    "call_factory",
    "data_choices",
    "find_recipe",
    "import_factory",
    "is_held",
    "load_weights",
    "parse",
    "parse_override",
    "parse_yaml",
    "read_yaml",
    "ready_recipes",
    "run",
    "schema",
    "speaks",
]
