"""Whole studies: one config file, carried out stage by stage in a run directory."""

from secateurs.recipes._comparison import comparison
from secateurs.recipes._config import Recipe, parse, schema
from secateurs.recipes._directory import check_directory, read_state, reason_of
from secateurs.recipes._for_data import data_choices
from secateurs.recipes._left import Left, left_by
from secateurs.recipes._lock import is_held, locked, unlock_elsewhere
from secateurs.recipes._model import build_model, call_factory, import_factory, load_weights
from secateurs.recipes._overrides import override, parse_override
from secateurs.recipes._pictures import draw_study
from secateurs.recipes._ranks import speaks
from secateurs.recipes._ready import ReadyRecipe, find_recipe, ready_folder, ready_recipes
from secateurs.recipes._reuse import common_steps, setting, take_over
from secateurs.recipes._run import RunOptions
from secateurs.recipes._section import STRICT, Count, Name
from secateurs.recipes._study import run
from secateurs.recipes._validate import validate
from secateurs.recipes._weights import weights_file
from secateurs.recipes._yaml import dump_yaml, parse_yaml, read_yaml

__all__ = [
    "STRICT",
    "Count",
    "Left",
    "Name",
    "ReadyRecipe",
    "Recipe",
    "RunOptions",
    "build_model",
    "call_factory",
    "check_directory",
    "common_steps",
    "comparison",
    "data_choices",
    "draw_study",
    "dump_yaml",
    "find_recipe",
    "import_factory",
    "is_held",
    "left_by",
    "load_weights",
    "locked",
    "override",
    "parse",
    "parse_override",
    "parse_yaml",
    "read_state",
    "read_yaml",
    "ready_folder",
    "ready_recipes",
    "reason_of",
    "run",
    "schema",
    "setting",
    "speaks",
    "take_over",
    "unlock_elsewhere",
    "validate",
    "weights_file",
]
