"""Train-time pruning: cuts while the network trains, at set epochs, with one schedule over all of them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from secateurs.recipes._section import STRICT, Count, Ratio
from secateurs.recipes.stages._prune import Choice, CriterionSection, PruneStage
from secateurs.recipes.stages._stop import StopSection
from secateurs.recipes.stages._train import TrainStage
from secateurs.recipes.stages._train_section import TrainSection

__all__ = ["TrainTimeStage"]


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
        if self.train.patience is not None or self.train.gap_patience is not None:
            raise ValueError("no `train.patience` or `gap_patience`, because cuts come at set epochs; `stop` ends them")
        return self

    def stages(self) -> Iterator[TrainStage | PruneStage]:
        """What it is written out as."""
        begins = [0, *range(self.initial_epochs, self.total_epochs, self.every)]
        for first, end in zip(begins, [*begins[1:], self.total_epochs], strict=True):
            if first:
                yield self._cut()
            part = (0, end - first, end - first) if self.restarts else (first, end, self.total_epochs)
            stage = self.train.part(*part, before=end < self.total_epochs, after=first > 0)
            # Cuts come at set epochs, of the network as it then is.
            yield stage if end == self.total_epochs else replace(stage, keep="last")

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
