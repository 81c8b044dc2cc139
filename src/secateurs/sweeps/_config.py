"""A sweep file: one YAML file, checked before anything runs."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from secateurs._errors import ConfigError
from secateurs.recipes import STRICT, Count, Name, find_recipe, override, read_yaml, validate
from secateurs.sweeps._figures import check_figure
from secateurs.sweeps._space import Dimension, grid_values, paths

__all__ = ["Resources", "Stop", "Sweep", "parse_sweep", "sweep_schema"]

_MOST = 10_000


class Resources(BaseModel):
    """What one run takes of a machine."""

    model_config = STRICT
    cpus: Count | None = None
    """Processor threads. None for 1 on a Ray cluster, and here for all cores, shared between the workers."""
    gpus: Annotated[float, Field(ge=0)] = 0
    """GPUs that a run sees as its own; a fraction lets several runs share one. 0 leaves the choice to the recipe's
    `device` here, and means no GPU on a Ray cluster."""

    @model_validator(mode="after")
    def _gpus_can_be_had(self) -> Self:
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ValueError("a whole number of `gpus`, or less than one")
        return self


class Stop(BaseModel):
    """When a run is ended early, by its validation figure after each epoch, all stages counted together."""

    model_config = STRICT
    rule: Literal["median", "halving"]
    """`median`: once the best of a run so far is below the median of what other trials had reached by that epoch
    (Golovin et al., 2017). `halving`: at epochs `after`, `after` x `factor`, ... the best one in `factor` goes on
    (asynchronous successive halving, Li et al., 2020)."""
    after: Count = 1
    """No run ends before this epoch."""
    least: Count = 4
    """`median`: as many runs of other trials must have reached the epoch."""
    factor: Annotated[int, Field(ge=2)] = 3
    """`halving`: one in so many goes on."""


class Sweep(BaseModel):
    """One recipe, tried with many values."""

    model_config = STRICT
    name: Name
    """Names the directory, runs/NAME."""
    description: str = ""
    recipe: str | dict[str, Any]
    """A ready recipe, a recipe file (its path from the sweep file or from here), or the recipe itself."""
    variant: str | None = None
    """Of a recipe with variants, the one that is tried; or search them as the dimension `variant`."""
    overrides: dict[str, Any] = Field(default_factory=dict)
    """Values to set in the recipe for all trials: {dotted path: value}, as `secateurs run` takes them."""
    space: dict[str, Dimension] = Field(min_length=1)
    """What is searched: a dotted path of the recipe -> a list of values or a range {low, high}; or any word ->
    {choices: {name: {dotted path: value}}}, where several keys change together."""
    search: Literal["grid", "random", "optuna"] = "grid"
    """Every combination; values drawn at random; or values proposed by Optuna's sampler (tree-structured Parzen
    estimator), which learns from the trials before."""
    trials: Count | None = None
    """How many; a grid has as many as it has combinations."""
    startup: Count = 10
    """`optuna`: so many trials are drawn at random before it learns."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of what is drawn and proposed."""
    seeds: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(default=None, min_length=1)
    """Each trial is a run with each of these; None for those of the recipe."""
    objectives: tuple[str, ...] = Field(default=("validation_accuracy",), min_length=1)
    """What trials are judged by, means over their seeds. With several, the best are those that no other trial equals
    or exceeds in all."""
    resources: Resources = Resources()
    workers: Count | None = None
    """Runs at a time. None for one here, and on a Ray cluster for as many as fit."""
    retries: Annotated[int, Field(ge=0)] = 1
    """A run that fails is tried so often again, from its last checkpoint."""
    stop: Stop | None = None
    """End runs that promise little before their time."""

    @field_validator("objectives")
    @classmethod
    def _may_be_chosen_by(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            try:
                check_figure(name)
            except ConfigError as error:
                raise ValueError(str(error)) from error
        if len(set(names)) < len(names):
            raise ValueError("objectives that differ")
        return names

    @model_validator(mode="after")
    def _counts(self) -> Self:
        if self.seeds is not None and len(set(self.seeds)) < len(self.seeds):
            raise ValueError("`seeds` that differ")
        if self.search == "grid" and self.trials is not None:
            raise ValueError("no `trials`, because a grid has as many as it has combinations")
        if self.search != "grid" and self.trials is None:
            raise ValueError(f"`trials`, because the search is {self.search}")
        return self

    @property
    def count(self) -> int:
        """How many trials there are, or at most."""
        if self.trials is not None:
            return self.trials
        return math.prod(len(grid_values(key, dimension)) for key, dimension in self.space.items())

    def resolved(self) -> dict[str, Any]:
        """Every value, defaults too, as plain YAML types; `parse_sweep` gives the sweep back."""
        plain: dict[str, Any] = json.loads(self.model_dump_json())
        return plain


def parse_sweep(
    config: Any, *, source: str, changes: Mapping[str, Any] | None = None, home: Path | None = None
) -> Sweep:
    """The sweep in `config` (as read from YAML) with dotted `changes`, its recipe read in.

    Args:
        home: the folder that the recipe's path may be relative to, beside the current one.

    Raises:
        ConfigError: an unknown key (with the nearest right one) or a wrong value, with its YAML path.
    """
    if isinstance(config, dict):
        config = _changed(config, changes or {})
    sweep = validate(Sweep, config, source=source)
    _check_space(sweep, source)
    if isinstance(sweep.recipe, str):
        beside = None if home is None else home / sweep.recipe
        file = beside if beside is not None and beside.is_file() else find_recipe(sweep.recipe)
        content = read_yaml(file)
        if not isinstance(content, dict):
            raise ConfigError(str(file), wanted="a recipe", got=type(content).__name__, cure="Name a recipe file.")
        # The recipe itself, so that what the directory holds does not change with the file.
        sweep = sweep.model_copy(update={"recipe": content})
    return sweep


def sweep_schema() -> dict[str, Any]:
    """JSON Schema of a sweep file."""
    return Sweep.model_json_schema()


def _changed(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Keys below `overrides` and `space` are dotted paths themselves."""
    found = dict(config)
    for path, value in changes.items():
        first, _, rest = path.partition(".")
        if first in ("overrides", "space") and rest and isinstance(found.get(first) or {}, dict):
            found[first] = {**(found.get(first) or {}), rest: value}
        else:
            found = override(found, {path: value})
    return found


def _check_space(sweep: Sweep, source: str) -> None:
    seen: dict[str, str] = {}
    for key, dimension in sweep.space.items():
        where = f"space.{key}"
        if isinstance(dimension, tuple):
            distinct = {json.dumps(value, sort_keys=True) for value in dimension}
            if not dimension or len(distinct) < len(dimension):
                _refuse(where, "values that differ, at least one", repr(list(dimension)), source)
        for path in paths(key, dimension):
            if path in seen:
                _refuse(where, f"keys of the recipe that {seen[path]} does not set", repr(path), source)
            seen[path] = where
    if sweep.count > _MOST:
        _refuse("trials" if sweep.trials else "space", f"at most {_MOST:,} trials", f"{sweep.count:,}", source)
    if sweep.variant is not None and "variant" in sweep.space:
        _refuse("variant", "no variant, because the space has the dimension `variant`", repr(sweep.variant), source)


def _refuse(where: str, wanted: str, got: str, source: str) -> None:
    raise ConfigError(where, wanted=wanted, got=got, cure=f"Correct it in {source}.")
