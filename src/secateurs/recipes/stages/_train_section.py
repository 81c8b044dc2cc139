"""How a network trains in a stage that says itself how many epochs."""

from dataclasses import field, fields
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass as checked_dataclass
from pydantic.json_schema import SkipJsonSchema

from secateurs.recipes._section import STRICT_DATACLASS, SaysWhere
from secateurs.recipes.stages._guidance import Guidance
from secateurs.recipes.stages._train import TrainStage
from secateurs.training import TrainOptions

__all__ = ["TrainSection"]

_OWN = ("epochs", "first_epoch", "schedule_epochs", "seed", "device")
"""Options of training that follow from the stage's own, or from the recipe."""


# Inherits, so that every option of the training room is an option here, with nothing said twice.
@checked_dataclass(frozen=True, kw_only=True, config=STRICT_DATACLASS)
class TrainSection(SaysWhere, Guidance, TrainOptions):
    """How it trains: every option of `train` but the number of epochs.

    Where the stage cuts, `regularise` is for the epochs before its cuts, and `distil` for those after them.
    """

    epochs: SkipJsonSchema[Annotated[int, Field(exclude=True)]] = field(default=1, init=False)
    first_epoch: SkipJsonSchema[Annotated[int, Field(exclude=True)]] = field(default=0, init=False)
    schedule_epochs: SkipJsonSchema[Annotated[int | None, Field(exclude=True)]] = field(default=None, init=False)
    seed: SkipJsonSchema[Annotated[int, Field(exclude=True)]] = field(default=0, init=False)
    device: SkipJsonSchema[Annotated[str, Field(exclude=True)]] = field(default="auto", init=False)

    @property
    def plain(self) -> dict[str, Any]:
        """The options that are said here."""
        own = {option.name: getattr(self, option.name) for option in fields(TrainOptions) if option.name not in _OWN}
        return own | self.guidance

    def part(self, first: int, end: int, total: int, *, before: bool = True, after: bool = True) -> TrainStage:
        """The training from epoch `first` to `end` of a schedule over `total`; `before` a cut, or `after` one."""
        plain = self.plain
        plain |= {"regularise": self.regularise if before else None, "distil": self.distil if after else None}
        return TrainStage(type="train", epochs=end - first, first_epoch=first, schedule_epochs=total, **plain)
