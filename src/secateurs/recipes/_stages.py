"""What a recipe's stages may say, and the flat list of steps that they come to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.dataclasses import dataclass as checked_dataclass
from pydantic.json_schema import SkipJsonSchema

from secateurs._errors import ConfigError
from secateurs.training import TrainOptions

__all__ = [
    "STRICT",
    "STRICT_DATACLASS",
    "CriterionSection",
    "MeasureStage",
    "Name",
    "PruneStage",
    "RepeatStage",
    "Stage",
    "Step",
    "TrainStage",
    "expand",
]

STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)
STRICT_DATACLASS = ConfigDict(extra="forbid", strict=True)  # pydantic takes `frozen` from the decorator here

Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Ratio: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
Count: TypeAlias = Annotated[int, Field(ge=1)]


# Inherits, so that every option of the training room is an option of the stage, with nothing said twice.
@checked_dataclass(frozen=True, kw_only=True, config=STRICT_DATACLASS)
class TrainStage(TrainOptions):
    """Train the model: every option of `TrainOptions`; `seed` and `device` come from the recipe."""

    type: Literal["train"]
    name: Name | None = None
    seed: SkipJsonSchema[Annotated[int, Field(exclude=True)]] = field(default=0, init=False)
    device: SkipJsonSchema[Annotated[str, Field(exclude=True)]] = field(default="auto", init=False)

    def __post_init__(self) -> None:
        try:
            super().__post_init__()
        except ConfigError as error:  # pydantic knows where in the file this is, the options do not
            raise ValueError(str(error)) from error

    def describe(self) -> str:
        """The stage in a few words."""
        return f"train {self.epochs} epochs, {self.optimizer}, lr {self.lr:g}"

    def options(self, *, seed: int, device: str) -> TrainOptions:
        """The training options of this stage in a run with that seed on that device."""
        plain = {option.name: getattr(self, option.name) for option in fields(TrainOptions)}
        return TrainOptions(**{**plain, "seed": seed, "device": device})


class CriterionSection(BaseModel):
    """A criterion with options, such as `{name: magnitude, options: {p: 1}}`."""

    model_config = STRICT
    name: str
    """One of `secateurs.criteria.names()`."""
    options: dict[str, Any] = Field(default_factory=dict)


class PruneStage(BaseModel):
    """Cut the model. Each ratio in `remove` is the fraction taken from the model as this stage finds it."""

    model_config = STRICT
    type: Literal["prune"]
    name: Name | None = None
    criterion: str | CriterionSection = "magnitude"
    """Which units matter: a name, or a name with options."""
    remove: dict[Literal["macs", "params", "bytes", "units"], Ratio] | None = None
    """Fraction to remove of each; may be left out only where `scope` gives ratios by axis."""
    scope: Literal["global", "layerwise"] | dict[str, Ratio] = "global"
    """Compare units over the whole model, within each axis, or remove these fractions of these axes."""
    protect: tuple[str, ...] = ()
    """Patterns of axes that stay whole, such as `fc*`."""
    floor: Count | Ratio = 1
    """Units that every axis keeps at least, or the fraction of them."""
    multiple_of: Count = 1
    """Kept sizes are multiples of this."""
    kinds: tuple[str, ...] | None = None
    """Only axes of these kinds are cut."""
    verify: bool = True
    """Prove that the cut model equals the masked dense one."""
    keep_optimizer: bool = False
    """Cut the last train stage's optimizer along and let the next train stage go on with its momentum."""

    @model_validator(mode="after")
    def _says_how_much(self) -> Self:
        if not self.remove and not isinstance(self.scope, dict):
            raise ValueError("`remove` (such as {macs: 0.5}), or `scope` with a ratio for each axis")
        return self

    def describe(self) -> str:
        """The stage in a few words."""
        asked = self.remove or (self.scope if isinstance(self.scope, dict) else {})
        ratios = ", ".join(f"{100 * ratio:g} % of {name}" for name, ratio in asked.items())
        return f"remove {ratios} by {self.criterion_section.name}"

    @property
    def budget(self) -> dict[str, float] | None:
        """`remove`, its keys as plain text."""
        return None if self.remove is None else {str(name): ratio for name, ratio in self.remove.items()}

    @property
    def criterion_section(self) -> CriterionSection:
        """The criterion in its long form."""
        return CriterionSection(name=self.criterion) if isinstance(self.criterion, str) else self.criterion


class MeasureStage(BaseModel):
    """Measure test accuracy, cost and latency of the model as it is."""

    model_config = STRICT
    type: Literal["measure"]
    name: Name | None = None
    latency: bool = True
    """Measure latency too, alternating with the model before the first cut where there was one."""
    batch_sizes: tuple[Count, ...] = Field(default=(1, 64), min_length=1)
    """Batch sizes whose latency is measured; `latency_ms` in the summary is that of the first."""

    def describe(self) -> str:
        """The stage in a few words."""
        return "measure accuracy, cost" + (" and latency" if self.latency else "")


class RepeatStage(BaseModel):
    """Do `stages` several times. A prune stage inside removes its ratio of what is left, each time."""

    model_config = STRICT
    type: Literal["repeat"]
    times: Count
    stages: tuple["Stage", ...] = Field(min_length=1)


Stage: TypeAlias = Annotated[TrainStage | PruneStage | MeasureStage | RepeatStage, Field(discriminator="type")]
RepeatStage.model_rebuild()


@dataclass(frozen=True, kw_only=True)
class Step:
    """One stage as it is carried out.

    Attributes:
        index: 0-based place in the run.
        name: folder name in the run directory, such as `01-prune`.
        stage: what to do.
    """

    index: int
    name: str
    stage: TrainStage | PruneStage | MeasureStage


def expand(stages: Sequence[Stage]) -> tuple[Step, ...]:
    """Repeats written out and numbered; a run that does not end in a measurement gets one."""
    flat = list(_flat(stages))
    if not flat or not isinstance(flat[-1], MeasureStage):
        flat.append(MeasureStage(type="measure"))
    return tuple(
        Step(index=index, name=f"{index:02d}-{stage.name or stage.type}", stage=stage)
        for index, stage in enumerate(flat)
    )


def _flat(stages: Sequence[Stage]) -> Iterator[TrainStage | PruneStage | MeasureStage]:
    for stage in stages:
        if isinstance(stage, RepeatStage):
            for _ in range(stage.times):
                yield from _flat(stage.stages)
        else:
            yield stage
