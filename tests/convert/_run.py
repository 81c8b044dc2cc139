"""Carrying a converted recipe out on a few digits."""

from pathlib import Path
from typing import Any

from secateurs.convert import Conversion
from secateurs.recipes import Recipe, parse, parse_yaml, run
from secateurs.reporting import read_run
from tests.recipes._studies import read_json

DIGITS: dict[str, Any] = {
    "data.name": "digits",
    "data.classes": [0, 1, 2, 3, 4],
    "data.limit": 120,
    "data.mean": None,
    "data.std": None,
    "device": "cpu",
    "threads": 1,
}
"""Instead of CIFAR; the rest of the recipe stays."""


def recipe(made: Conversion, **changes: Any) -> Recipe:
    """As `secateurs run` reads it, from the text alone."""
    return parse(parse_yaml(made.text(), where="text"), source="text", changes=changes)


def carried_out(made: Conversion, folder: Path, changes: dict[str, Any]) -> dict[str, Any]:
    """What run.json says at the end, of a run on digits."""
    run(recipe(made, **{**DIGITS, **changes}), folder)
    assert read_run(folder).state["status"] == "finished"
    return read_json(folder / "run.json")
