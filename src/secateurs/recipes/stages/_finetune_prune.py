"""Subset-aware pruning: fine-tune, cut once, train on; the first part as long as said, or until it overfits."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from secateurs.recipes._section import STRICT, Count, Ratio
from secateurs.recipes.stages._cut_options import Budgeted, CutSection
from secateurs.recipes.stages._prune import PruneStage
from secateurs.recipes.stages._train import TrainStage
from secateurs.recipes.stages._train_on import TrainOnStage
from secateurs.recipes.stages._train_section import TrainSection

__all__ = ["FinetunePruneStage"]


class AdaptiveSection(BaseModel):
    """When an adaptive cut comes: once the generalisation gap (validation loss less training loss) has grown."""

    model_config = STRICT
    epochs: Count = 3
    """So many epochs one after another, the gap has been larger than in epoch `since`."""
    since: Annotated[int, Field(ge=0)] = 2
    """The epoch (0-based) that the gap is compared with."""
    latest: Count = 15
    """After so many epochs the cut comes anyway."""


class FinetunePruneStage(BaseModel):
    """Train `prune_after` epochs, cut once, train on: one schedule over all of it, unless it `restarts`.

    It is written out as train and prune stages. On a subset of the classes, the first training makes the choice of
    units subset-aware; without it (`prune_after: 0`) the choice is that of the network before.
    """

    model_config = STRICT
    type: Literal["finetune_prune"]
    prune_after: Annotated[int, Field(ge=0)] = 5
    """Epochs before the cut (`Prune_After`); with `when: adaptive` it has no say."""
    finetune_budget: Count = 25
    """Epochs of training, as `budget` counts them (`Finetune_Budget`)."""
    budget: Literal["after", "total"] = "after"
    """What `finetune_budget` counts: epochs `after` the cut, as the published description says, or epochs in `total`,
    those before the cut too, as its code has it."""
    when: Literal["static", "adaptive"] = "static"
    """The cut comes after `prune_after` epochs, or once the network begins to overfit (`Static: False`)."""
    adaptive: AdaptiveSection = Field(default_factory=AdaptiveSection)
    """When an adaptive cut comes."""
    remove: dict[Budgeted, Ratio] = Field(min_length=1)
    """Fraction to remove of each; {params: 0.5} is a `Pruning_Perc` of 50."""
    cut: CutSection = Field(default_factory=CutSection)
    """Which units go."""
    keep_optimizer: bool = False
    """Cut the optimizer along and go on with its momentum; else a new one begins."""
    restarts: bool = False
    """The schedule begins anew after the cut."""
    train: TrainSection = Field(default_factory=TrainSection)
    """How it trains."""

    @model_validator(mode="after")
    def _ends_after_the_cut(self) -> Self:
        if self.budget == "total" and self.finetune_budget <= self._first:
            raise ValueError(f"a `finetune_budget` of more than the {self._first} epochs before the cut")
        if self.keep_optimizer and not self._first:
            raise ValueError("no `keep_optimizer` without epochs before the cut")
        if self.train.patience is not None or self.train.gap_patience is not None:
            raise ValueError("no `train.patience` or `gap_patience`: `when: adaptive` ends the first training")
        return self

    def stages(self) -> Iterator[TrainStage | PruneStage]:
        """What it is written out as."""
        total = self.finetune_budget + (self._first if self.budget == "after" else 0)
        if self._first:
            yield self._before(total)
        yield PruneStage(type="prune", remove=self.remove, keep_optimizer=self.keep_optimizer, **dict(self.cut))
        yield self._after(total)

    @property
    def _first(self) -> int:
        """Epochs before the cut, at most."""
        return self.prune_after if self.when == "static" else self.adaptive.latest

    def _before(self, total: int) -> TrainStage:
        # What is cut is where this training ends; `keep: best` chooses among networks that are cut.
        whole = self._first if self.restarts else total
        stage = replace(self.train.part(0, self._first, whole, after=False), keep="last")
        if self.when == "static":
            return stage
        return replace(stage, gap_patience=self.adaptive.epochs, gap_epoch=self.adaptive.since)

    def _after(self, total: int) -> TrainStage:
        if self.when == "adaptive":
            counts, restarts, plain = self.budget, self.restarts, self.train.plain | {"regularise": None}
            return TrainOnStage(type="train", epochs=self.finetune_budget, counts=counts, restarts=restarts, **plain)
        if self.restarts:
            return self.train.part(0, total - self._first, total - self._first, before=False)
        return self.train.part(self._first, total, total, before=False)
