"""How a network trains between two levels."""

from dataclasses import field, fields
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass as checked_dataclass
from pydantic.json_schema import SkipJsonSchema

from secateurs.recipes._section import STRICT_DATACLASS, SaysWhere
from secateurs.recipes.stages._guidance import Guidance
from secateurs.recipes.stages._train import TrainStage
from secateurs.training import TrainOptions

__all__ = ["RetrainSection"]


# Inherits, so that every option of the training room is an option here, with nothing said twice.
@checked_dataclass(frozen=True, kw_only=True, config=STRICT_DATACLASS)
class RetrainSection(SaysWhere, Guidance, TrainOptions):
    """Every option of `train`; epochs, rate and patience are by default those of the published study."""

    epochs: int = 150
    lr: float = 0.01
    patience: int | None = 30
    seed: SkipJsonSchema[Annotated[int, Field(exclude=True)]] = field(default=0, init=False)
    device: SkipJsonSchema[Annotated[str, Field(exclude=True)]] = field(default="auto", init=False)

    def stage(self) -> TrainStage:
        """The training as a stage."""
        plain = {option.name: getattr(self, option.name) for option in fields(TrainOptions)} | self.guidance
        return TrainStage(
            type="train", **{name: value for name, value in plain.items() if name not in ("seed", "device")}
        )
