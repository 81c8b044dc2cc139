"""The stage `gates`: gates that skip residual blocks, trained with labels, then by reinforcement."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from secateurs.recipes._section import STRICT, Count
from secateurs.recipes.stages._gate_options import GateOptions, RewardOptions
from secateurs.recipes.stages._gate_phase import GatesReinforceStage, GatesSupervisedStage
from secateurs.recipes.stages._train_section import TrainSection

__all__ = ["GatesStage"]


class SupervisedSection(BaseModel):
    """The first phase (`SP`): cross-entropy with decisions by threshold, gradients straight through them."""

    model_config = STRICT
    epochs: Count = 10
    """Epochs of it."""
    soft: bool = False
    """Take of each block what its chance is, instead of deciding; accuracy is lost once gates decide."""
    penalty: float = Field(default=0.0, ge=0)
    """Of the compute: what a network that runs every block for every image loses by it (`alpha` of the seed)."""
    train: TrainSection = Field(default_factory=TrainSection)
    """How it trains."""


class ReinforceSection(RewardOptions):
    """The second phase (`HRL`): decisions by lot, cross-entropy and the policy gradient of each image."""

    epochs: Count = 5
    """Epochs of it."""
    train: TrainSection = Field(default_factory=lambda: TrainSection(lr=1e-4))
    """How it trains."""


class GatesStage(GateOptions):
    """Put gates into the network and train both; written out as one or two trainings. Masks in force are kept."""

    type: Literal["gates"]
    supervised: SupervisedSection | None = Field(default_factory=SupervisedSection)
    """The first phase; null leaves it out, for a network whose gates have been trained."""
    reinforce: ReinforceSection | None = Field(default_factory=ReinforceSection)
    """The second phase; null leaves it out."""

    @model_validator(mode="after")
    def _trains(self) -> Self:
        if self.supervised is None and self.reinforce is None:
            raise ValueError("`supervised`, `reinforce`, or both")
        return self

    def stages(self) -> Iterator[GatesSupervisedStage | GatesReinforceStage]:
        """What it is written out as."""
        gates = GateOptions(**{name: getattr(self, name) for name in GateOptions.model_fields})
        first, second = self.supervised, self.reinforce
        if first is not None:
            yield GatesSupervisedStage(
                type="gates",
                name="gates-supervised",
                gates=gates,
                epochs=first.epochs,
                soft=first.soft,
                penalty=first.penalty,
                **first.train.plain,
            )
        if second is not None:
            yield GatesReinforceStage(
                type="gates",
                name="gates-reinforce",
                gates=gates,
                epochs=second.epochs,
                rewards=RewardOptions(**{name: getattr(second, name) for name in RewardOptions.model_fields}),
                **second.train.plain,
            )
