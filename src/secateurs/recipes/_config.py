"""A recipe: one YAML file, checked before anything runs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, model_validator
from pydantic.dataclasses import dataclass as checked_dataclass

from secateurs import models
from secateurs.data import DataOptions
from secateurs.recipes._batches import BatchesSection
from secateurs.recipes._factors import write_out_factors
from secateurs.recipes._for_data import fit_to_data
from secateurs.recipes._overrides import override
from secateurs.recipes._plain import check_plain
from secateurs.recipes._section import STRICT, STRICT_DATACLASS, Count, Name, SaysWhere
from secateurs.recipes._validate import validate
from secateurs.recipes.objectives import ObjectiveName
from secateurs.recipes.stages import HoldStage, PruneStage, Stage, TrainStage, expand, first_loss
from secateurs.recipes.trackers import TrackerName, TrackersSection

__all__ = ["BatchesSection", "DataSection", "ModelSection", "Recipe", "parse", "schema"]


class ModelSection(BaseModel):
    """The network: one of `secateurs.models.names()`, or any importable callable."""

    model_config = STRICT
    name: str | None = None
    """A network of the model table; `classes` and `channels` follow from the data unless in `options`."""
    factory: str | None = None
    """`package.module:callable` that returns a network, instead of `name`."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the network's builder."""
    weights: Path | None = None
    """What to start from: a safetensors file with the network's weights, or with those of a cut network and the plans
    that led to it, as `secateurs.save` and every stage write it; or the directory of a run, for what its last stage
    left."""
    head: Literal["all", "subset"] = "all"
    """With `data.classes`: tell all classes of the data apart, as before, or cut the rows of the head that make the
    scores of other classes; labels then count the classes of the subset."""
    masks: Path | None = None
    """A masks.safetensors that an earlier run made for these weights."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.name is None) == (self.factory is None):
            raise ValueError("either `name` or `factory`")
        return self


# Inherits, so that every option of the data room is an option here, with nothing said twice.
@checked_dataclass(frozen=True, kw_only=True, config=STRICT_DATACLASS)
class DataSection(SaysWhere, DataOptions):
    """The images: every option of `DataOptions`."""


class Recipe(BaseModel):
    """A whole study."""

    model_config = STRICT
    name: Name
    """Names the run directory, runs/NAME."""
    description: str = ""
    """One line for `secateurs recipes`."""
    model: ModelSection
    data: DataSection
    batches: BatchesSection = BatchesSection()
    objective: ObjectiveName | None = None
    """What the network is for: `classification`, or `elbo` for a variational autoencoder, which is trained and judged
    by the evidence lower bound. None for what a network of the model table is made for, and else classification."""
    seed: int = Field(default=0, ge=0)
    """Keys every random number: initial weights, shuffling, augmentation."""
    device: str = "auto"
    """`auto` (CUDA where there is one), `cpu` or `cuda:<number>`."""
    devices: Count = 1
    """Ranks on each machine that share the work: one for each GPU, or processes where there is none."""
    nodes: Count = 1
    """Machines; with more than one, torchrun starts the command on each of them."""
    timeout_s: float = Field(default=300.0, gt=0)
    """Seconds that a rank waits for the others in one exchange before the run ends with an error."""
    threads: Count | None = None
    """Processor threads that torch may use, where a machine's own choice is not wanted: one thread is as fast for
    tiny networks and does not stall when other work takes a core. Weights repeat bit by bit for equal numbers only."""
    trackers: tuple[TrackerName, ...] | TrackersSection = ()
    """Services that are told of every epoch and stage: `[tensorboard, mlflow, wandb]`, or a mapping with options."""
    stages: tuple[Stage, ...] = Field(min_length=1)
    """What is done, in this order; without a measurement at the end, one is added."""
    variants: dict[Name, dict[str, Any]] | None = Field(default=None, min_length=1)
    """The same recipe with other values: name -> {dotted path: value}. A variant with `for_each: [factor, ...]` is
    written out, when the recipe is read, as one for every combination of these factors' choices."""
    factors: dict[Name, dict[str, dict[str, Any] | None]] | None = None
    """What variants may stand `for_each` of: factor -> choice -> {dotted path: value}; null leaves a choice out."""
    for_data: dict[str, dict[str, Any]] | None = None
    """Values that depend on the data set: its name (or its folder's) -> {dotted path: value}. They take their places
    when the recipe is read; without a data set, one of these is asked for."""
    seeds: tuple[int, ...] | None = Field(default=None, min_length=1)
    """Run everything once with each of these seeds."""

    @model_validator(mode="after")
    def _seeds_differ(self) -> Self:
        if self.seeds is not None and len(set(self.seeds)) < len(self.seeds):
            raise ValueError("`seeds` that differ")
        return self

    @model_validator(mode="after")
    def _objective_fits(self) -> Self:
        made_for = _made_for(self.model)
        if made_for is not None and self.objective not in (None, made_for):
            raise ValueError(f"no `objective`, or {made_for!r}, which {self.model.name} is made for")
        return self

    @model_validator(mode="after")
    def _stops_fit(self) -> Self:
        for step in expand(self.stages):
            holds = isinstance(step.stage, HoldStage) and step.stage.accuracy_drop is not None
            if holds and self.purpose != "classification":
                raise ValueError(f"`hold.worsening`, because {self.purpose!r} knows no accuracy to drop")
            stop = step.stage.stop if isinstance(step.stage, PruneStage) else None
            if stop is not None and stop.accuracy_drop is not None and self.purpose != "classification":
                raise ValueError(f"`stop.worsening` in {step.name}, because {self.purpose!r} knows no accuracy to drop")
        return self

    @model_validator(mode="after")
    def _head_fits(self) -> Self:
        if self.model.head == "subset" and self.data.classes is None:
            raise ValueError("`data.classes` (such as [0, 1, 2] or aquatic), because model.head is subset")
        return self

    @model_validator(mode="after")
    def _kept_optimizers_fit(self) -> Self:
        held: str | None = None  # the optimizer that the stages so far have left
        handed: str | None = None  # the one that the next train stage goes on with
        for step in expand(self.stages):
            stage = step.stage
            if isinstance(stage, PruneStage):
                if stage.keep_optimizer and held is None:
                    raise ValueError(f"a train stage before {step.name}, because its keep_optimizer is true")
                held = held if stage.keep_optimizer else None
                handed = held
            elif isinstance(stage, HoldStage):
                held = handed = None
            elif isinstance(stage, TrainStage):
                if handed not in (None, stage.optimizer):
                    raise ValueError(f"optimizer {handed!r} in {step.name} too, because keep_optimizer is true")
                held, handed = stage.optimizer, None
        return self

    @model_validator(mode="after")
    def _masks_fit(self) -> Self:
        masked = self.model.masks is not None
        for step in expand(self.stages):
            masking = step.stage.masking
            if step.stage.needs_masks and not masked:
                raise ValueError(f"a stage that makes masks before {step.name}, or `model.masks`")
            if masking == "refuses" and masked:
                raise ValueError(f"a stage `compact` before {step.name}, which cannot cut around masks")
            masked = masking == "makes" or (masked and masking != "cuts")
        return self

    @model_validator(mode="after")
    def _teachers_fit(self) -> Self:
        steps = expand(self.stages)
        for step in steps:
            distil = step.stage.distil if isinstance(step.stage, TrainStage) else None
            if distil is not None and self.purpose != "classification":
                raise ValueError(f"no `distil` in {step.name}, because {self.purpose!r} has no scores of classes")
            if distil is not None and distil.teacher is None and first_loss(steps[: step.index]) is None:
                raise ValueError(f"a stage that cuts before {step.name}, or `distil.teacher`")
        return self

    @property
    def purpose(self) -> ObjectiveName:
        """What the network is for."""
        return self.objective or _made_for(self.model) or "classification"

    def resolved(self) -> dict[str, Any]:
        """Every value of the recipe, defaults too, as plain YAML types; `parse` gives the recipe back."""
        plain: dict[str, Any] = json.loads(self.model_dump_json())
        plain["stages"] = [_type_first(stage) for stage in plain["stages"]]
        return plain


def parse(config: Any, *, source: str, changes: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe in `config` (as read from YAML) with dotted `changes`; every variant is checked too.

    Raises:
        ConfigError: an unknown key (with the nearest right one) or a wrong value, with its YAML path.
    """
    check_plain(config, source=source)
    check_plain(changes or {}, source="the overrides")
    if isinstance(config, dict):
        config = write_out_factors(fit_to_data(config, changes or {}, source=source), source=source)
    recipe = validate(Recipe, config, source=source)
    # Without the variants themselves: with a thousand of them, each check would be of a thousand.
    base = {key: value for key, value in config.items() if key != "variants"}
    for name, values in (recipe.variants or {}).items():
        validate(Recipe, override(base, values), source=f"{source}, variant {name}")
    return recipe


def schema() -> dict[str, Any]:
    """JSON Schema of a recipe file."""
    return Recipe.model_json_schema()


def _made_for(model: ModelSection) -> ObjectiveName | None:
    entry = None if model.name is None else models.TABLE.get(model.name)
    return None if entry is None else entry.objective


def _type_first(stage: dict[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in stage.items() if key not in ("type", "name", "stages")}
    ordered = {"type": stage["type"], **({"name": stage["name"]} if stage.get("name") else {}), **rest}
    if "stages" in stage:
        ordered["stages"] = [_type_first(inner) for inner in stage["stages"]]
    return ordered
