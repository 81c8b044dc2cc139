"""The table of stage types, and the flat list of steps that a recipe comes to."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, Field

from secateurs.recipes._section import STRICT
from secateurs.recipes.stages._base import StageType, Step
from secateurs.recipes.stages._channels import ChannelsStage
from secateurs.recipes.stages._compact import CompactStage
from secateurs.recipes.stages._finetune import FinetuneStage
from secateurs.recipes.stages._finetune_prune import FinetunePruneStage
from secateurs.recipes.stages._gops import GopsStage
from secateurs.recipes.stages._levels import LevelsStage
from secateurs.recipes.stages._measure import MeasureStage
from secateurs.recipes.stages._prune import PruneStage
from secateurs.recipes.stages._random_mask import RandomMaskStage
from secateurs.recipes.stages._reinitialise import ReinitialiseStage
from secateurs.recipes.stages._scores import ScoresStage
from secateurs.recipes.stages._search import SearchStage
from secateurs.recipes.stages._train import TrainStage
from secateurs.recipes.stages._train_time import TrainTimeStage

__all__ = ["RepeatStage", "Stage", "expand"]


class RepeatStage(BaseModel):
    """Do `stages` several times. A prune stage inside removes its ratio of what is left, each time."""

    model_config = STRICT
    type: Literal["repeat"]
    times: Annotated[int, Field(ge=0)]
    """0 leaves them out; a variant may bring them back."""
    stages: tuple["Stage", ...] = Field(min_length=1)


Masked: TypeAlias = ScoresStage | RandomMaskStage | FinetuneStage | CompactStage
Looking: TypeAlias = MeasureStage | GopsStage | ChannelsStage
Work: TypeAlias = TrainStage | PruneStage | SearchStage | ReinitialiseStage | Looking | Masked
"""One row for each type of stage that is carried out."""
Written: TypeAlias = TrainTimeStage | LevelsStage | FinetunePruneStage
"""One row for each that is written out as others, as `repeat` is."""
Stage: TypeAlias = Annotated[Work | RepeatStage | Written, Field(discriminator="type")]
RepeatStage.model_rebuild()

_MOST_STEPS = 10_000


def expand(stages: Sequence[Stage]) -> tuple[Step, ...]:
    """Repeats written out and numbered; a run that does not end in a measurement gets one.

    Raises:
        ValueError: more stages than any run carries out, as repeats in repeats come to quickly.
    """
    flat = list(itertools.islice(_flat(stages), _MOST_STEPS + 1))
    if len(flat) > _MOST_STEPS:
        raise ValueError(f"at most {_MOST_STEPS:,} stages with all repeats written out")
    if not flat or not flat[-1].measures:
        flat.append(MeasureStage(type="measure"))
    return tuple(
        Step(index=index, name=f"{index:02d}-{stage.name or stage.type}", stage=stage)
        for index, stage in enumerate(flat)
    )


def _flat(stages: Sequence[Stage]) -> Iterator[StageType]:
    for stage in stages:
        if isinstance(stage, RepeatStage):
            for _ in range(stage.times):
                yield from _flat(stage.stages)
        elif isinstance(stage, Written):
            yield from stage.stages()
        else:
            yield stage
