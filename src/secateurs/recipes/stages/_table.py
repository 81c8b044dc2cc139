"""The table of stage types, and the flat list of steps that a recipe comes to."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, Field, model_validator

from secateurs.recipes._section import STRICT
from secateurs.recipes.stages._base import StageType, Step
from secateurs.recipes.stages._channels import ChannelsStage
from secateurs.recipes.stages._compact import CompactStage
from secateurs.recipes.stages._eigen import EigenStage
from secateurs.recipes.stages._finetune import FinetuneStage
from secateurs.recipes.stages._finetune_prune import FinetunePruneStage
from secateurs.recipes.stages._gates import GatesStage
from secateurs.recipes.stages._gops import GopsStage
from secateurs.recipes.stages._hold import HoldSection
from secateurs.recipes.stages._levels import LevelsStage
from secateurs.recipes.stages._measure import MeasureStage
from secateurs.recipes.stages._prune import PruneStage
from secateurs.recipes.stages._random_mask import RandomMaskStage
from secateurs.recipes.stages._reinitialise import ReinitialiseStage
from secateurs.recipes.stages._scores import ScoresStage
from secateurs.recipes.stages._search import SearchStage
from secateurs.recipes.stages._train import TrainStage
from secateurs.recipes.stages._train_time import TrainTimeStage
from secateurs.selection import Schedule

__all__ = ["RepeatStage", "Stage", "expand"]


class RepeatStage(BaseModel):
    """Do `stages` several times. A prune stage inside removes its ratio of what is left, each time; with a `schedule`
    the ratios of the only one are those of all its cuts together."""

    model_config = STRICT
    type: Literal["repeat"]
    times: Annotated[int, Field(ge=0)]
    """0 leaves them out; a variant may bring them back."""
    stages: tuple["Stage", ...] = Field(min_length=1)
    schedule: Schedule | None = None
    """How the one prune stage inside spreads what it removes over all its cuts: as much each time (`linear`), much at
    first (`cubic`), nearly all at first (`exponential`), or the same share of what is left (`geometric`)."""

    hold: HoldSection | None = None
    """What all times together may cost; one that costs more is undone, and those after it are left out."""

    @model_validator(mode="after")
    def _leaves_masks(self) -> Self:
        if self.hold is not None and any(stage.masking in ("makes", "cuts") for stage in _flat(self.stages)):
            raise ValueError("with `hold`, no stage that makes masks or cuts along them")
        return self

    @model_validator(mode="after")
    def _spreads_one_cut(self) -> Self:
        if self.schedule is not None:
            cuts = [stage for stage in self.stages if isinstance(stage, PruneStage)]
            if len(cuts) != 1 or any(isinstance(stage, RepeatStage) for stage in self.stages):
                raise ValueError("with a `schedule`, one prune stage, and no repeat inside")
            cuts[0].in_parts(self.schedule, max(1, self.times))
        return self

    def written_out(self) -> Iterator[Any]:
        """The stages, again and again; with a limit, a look at the network before and after each time."""
        times = [self._of_time(cut) for cut in range(1, self.times + 1)]
        if self.hold is not None:
            return self.hold.around(times, len(list(_flat(self.stages))))
        return itertools.chain.from_iterable(times)

    def _of_time(self, cut: int) -> list["Stage"]:
        return [
            stage.in_parts(self.schedule, self.times, cut)
            if self.schedule is not None and isinstance(stage, PruneStage)
            else stage
            for stage in self.stages
        ]


Masked: TypeAlias = ScoresStage | RandomMaskStage | FinetuneStage | CompactStage
Looking: TypeAlias = MeasureStage | GopsStage | ChannelsStage
Work: TypeAlias = TrainStage | PruneStage | EigenStage | SearchStage | ReinitialiseStage | Looking | Masked
"""One row for each type of stage that is carried out."""
Written: TypeAlias = TrainTimeStage | LevelsStage | FinetunePruneStage | GatesStage
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


def _flat(stages: Iterable[Any]) -> Iterator[StageType]:
    for stage in stages:
        if isinstance(stage, RepeatStage):
            yield from _flat(stage.written_out())
        elif isinstance(stage, Written):
            yield from stage.stages()
        else:
            yield stage
