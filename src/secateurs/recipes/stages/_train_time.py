"""Train-time pruning: cuts while the network trains, at set epochs, with one schedule over all of them."""

from collections.abc import Iterator
from dataclasses import field, fields
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator
from pydantic.dataclasses import dataclass as checked_dataclass
from pydantic.json_schema import SkipJsonSchema

from secateurs.recipes._section import STRICT, STRICT_DATACLASS, Count, Ratio, SaysWhere
from secateurs.recipes.stages._prune import Choice, CriterionSection, PruneStage
from secateurs.recipes.stages._stop import StopSection
from secateurs.recipes.stages._train import TrainStage
from secateurs.training import TrainOptions

__all__ = ["TrainTimeStage"]

_OWN = ("epochs", "first_epoch", "schedule_epochs", "seed", "device")
"""Options of training that follow from the schedule of cuts, or from the recipe."""


# Inherits, so that every option of the training room is an option here, with nothing said twice.
@checked_dataclass(frozen=True, kw_only=True, config=STRICT_DATACLASS)
class TrainSection(SaysWhere, TrainOptions):
    """How it trains: every option of `TrainOptions` but the number of epochs."""

    epochs: SkipJsonSchema[Annotated[int, Field(exclude=True)]] = field(default=1, init=False)
    first_epoch: SkipJsonSchema[Annotated[int, Field(exclude=True)]] = field(default=0, init=False)
    schedule_epochs: SkipJsonSchema[Annotated[int | None, Field(exclude=True)]] = field(default=None, init=False)
    seed: SkipJsonSchema[Annotated[int, Field(exclude=True)]] = field(default=0, init=False)
    device: SkipJsonSchema[Annotated[str, Field(exclude=True)]] = field(default="auto", init=False)

    def part(self, first: int, end: int, total: int) -> TrainStage:
        """The training from epoch `first` to `end` of a schedule over `total`."""
        options = {option.name: getattr(self, option.name) for option in fields(TrainOptions)}
        plain = {name: value for name, value in options.items() if name not in _OWN}
        return TrainStage(type="train", epochs=end - first, first_epoch=first, schedule_epochs=total, **plain)


class TrainTimeStage(BaseModel):
    """Train `initial_epochs`, then cut, and cut again every so many epochs until `total_epochs` have been trained.

    It is written out as train and prune stages. With equal `initial_epochs` and `total_epochs` nothing is cut. The
    last training is as long as the epochs allow: 100 epochs in all, 30 before the first of cuts 15 apart, end with
    10. (The code of the published description trains 15 there, 105 in all.)
    """

    model_config = STRICT
    type: Literal["train_time"]
    initial_epochs: Count
    """Epochs before the first cut (`inital_iterations`)."""
    every: Count = 10
    """Epochs between two cuts (`increment`)."""
    total_epochs: Count
    """Epochs in all."""
    ratio: Ratio = 0.1
    """Fraction of the units left in every axis that each cut removes, rounded up, never the last unit."""
    choice: Choice = "bottom"
    """Which units go: those with the lowest scores, with the highest ("worst pruning"), or any, by lot."""
    criterion: str | CriterionSection = "contribution"
    """Which units matter: a name, or a name with options."""
    protect: tuple[str, ...] = ()
    """Patterns of axes that stay whole."""
    kinds: tuple[str, ...] | None = None
    """Only axes of these kinds are cut; `[hidden]` leaves convolutions whole."""
    widths: dict[str, Count] = Field(default_factory=dict)
    """Axis names or patterns, and the units that such an axis keeps at least."""
    stop: StopSection | None = None
    """When the cuts have gone far enough."""
    restarts: bool = False
    """The learning rate's schedule begins anew after each cut and goes over the epochs up to the next one, as in warm
    restarts (Loshchilov and Hutter, 2017); else one schedule goes over all epochs."""
    rebuild_optimizer: bool = False
    """A new optimizer after each cut, without momentum; else it is cut along and goes on."""
    verify: bool = True
    """Prove after each cut that the cut model equals the masked dense one."""
    train: TrainSection = Field(default_factory=TrainSection)
    """How it trains."""

    @model_validator(mode="after")
    def _begins_within(self) -> Self:
        if self.initial_epochs > self.total_epochs:
            raise ValueError("`initial_epochs` of at most `total_epochs`")
        return self

    @model_validator(mode="after")
    def _trains_to_the_end(self) -> Self:
        if self.train.patience is not None:
            raise ValueError("no `train.patience`, because cuts come at set epochs; `stop` ends them")
        return self

    def stages(self) -> Iterator[TrainStage | PruneStage]:
        """What it is written out as."""
        begins = [0, *range(self.initial_epochs, self.total_epochs, self.every)]
        for first, end in zip(begins, [*begins[1:], self.total_epochs], strict=True):
            if first:
                yield self._cut()
            if self.restarts:
                yield self.train.part(0, end - first, end - first)
            else:
                yield self.train.part(first, end, self.total_epochs)

    def _cut(self) -> PruneStage:
        return PruneStage(
            type="prune",
            criterion=self.criterion,
            each_axis=self.ratio,
            choice=self.choice,
            widths=self.widths,
            protect=self.protect,
            kinds=self.kinds,
            stop=self.stop,
            verify=self.verify,
            keep_optimizer=not self.rebuild_optimizer,
        )
