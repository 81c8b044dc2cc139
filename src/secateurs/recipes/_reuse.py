"""Stages that two runs of a study have in common are carried out once."""

import json
import shutil
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from secateurs._files import write_json, write_text
from secateurs.data import SPLIT_FILE
from secateurs.recipes._config import Recipe
from secateurs.recipes._directory import read_state
from secateurs.recipes._yaml import dump_yaml
from secateurs.recipes.stages import Step, expand

__all__ = ["common_steps", "setting", "take_over"]

_NOT_COMPARED = ("stages", "name", "description", "variants", "factors", "seeds")


def setting(recipe: Recipe) -> str:
    """Everything but the stages; runs with different ones have no stage in common."""
    return json.dumps({key: value for key, value in recipe.resolved().items() if key not in _NOT_COMPARED})


def common_steps(recipe: Recipe, other: Recipe) -> tuple[Step, ...]:
    """The first stages of both that do the same: equal options after equal ones, on the same data, from one seed."""
    if setting(recipe) != setting(other):
        return ()
    pairs = zip(expand(recipe.stages), expand(other.stages), strict=False)
    return tuple(step for step, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def take_over(recipe: Recipe, folder: Path, finished: Sequence[tuple[Recipe, Path]]) -> str | None:
    """Begin the run in `folder` with what one of the `finished` runs has done already, if that is anything.

    The stages' files are copied, so that each run is whole by itself; run.json says where they came from. Nothing is
    done to a run that has begun. Returns a line for the user.
    """
    if (folder / "run.json").exists():
        return None
    shared = [(common_steps(recipe, other), path) for other, path in finished]
    steps, source = max(shared, key=lambda pair: len(pair[0]), default=((), folder))
    state = read_state(source) if steps else {}
    done = {entry["name"]: entry for entry in state.get("stages", []) if entry["status"] == "finished"}
    steps = tuple(takewhile(lambda step: step.name in done, steps))
    if not any(step.stage.changes for step in steps):
        return None
    write_text(folder / "config.yaml", dump_yaml(recipe.resolved()))
    for step in steps:
        shutil.copytree(source / "stages" / step.name, folder / "stages" / step.name, dirs_exist_ok=True)
    _copy_rows(source, folder, {step.name for step in steps})
    if (source / SPLIT_FILE).exists():
        shutil.copyfile(source / SPLIT_FILE, folder / SPLIT_FILE)
    origin = "/".join(source.parts[-2:])
    entries = [done[step.name] | {"taken_from": origin} for step in steps]
    # Last, since a run has begun as soon as this is there: killed before, it is all done again.
    write_json(folder / "run.json", {"status": "running", "stages": entries})
    return f"{', '.join(step.name for step in steps)} taken over from {origin}"


def _copy_rows(source: Path, folder: Path, steps: set[str]) -> None:
    file = source / "metrics.jsonl"
    if file.exists():
        rows: list[tuple[str, dict[str, Any]]] = [(line, json.loads(line)) for line in file.read_text().splitlines()]
        write_text(folder / "metrics.jsonl", "".join(f"{line}\n" for line, row in rows if row["stage"] in steps))
