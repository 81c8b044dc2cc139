"""A training whose schedule goes on where the one before ended, whenever that was; other stages write it out."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic.dataclasses import dataclass as checked_dataclass

from secateurs._errors import ConfigError
from secateurs.recipes._section import STRICT_DATACLASS
from secateurs.recipes.stages._base import Step
from secateurs.recipes.stages._train import TrainStage
from secateurs.training import TrainOptions

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["TrainOnStage"]


@checked_dataclass(frozen=True, kw_only=True, config=STRICT_DATACLASS)
class TrainOnStage(TrainStage):
    """Train on: every option of `train`; the schedule begins with the epoch after the last one trained.

    Where a training ends by itself (`gap_patience`), no recipe can say at which epoch the next one begins. To those
    who read what it leaves, it is a training like any other.
    """

    counts: Literal["after", "total"] = "after"
    """What `epochs` counts: those of this training, or those of the training before too."""

    restarts: bool = False
    """The schedule begins anew instead."""

    def describe(self) -> str:
        """The stage in a few words."""
        epochs = f"{self.epochs} epochs" if self.counts == "after" else f"to epoch {self.epochs}"
        return f"train on {epochs}, {self.optimizer}"

    def options_in(self, session: "Session", step: Step) -> TrainOptions:
        """With the place in the schedule that run.json tells."""
        plain, done = super().options_in(session, step), _trained(session, step)
        epochs = plain.epochs - (done if self.counts == "total" else 0)
        if epochs < 1:
            cure = "Give more epochs, or let the training before end sooner."
            raise ConfigError(step.name, wanted=f"more than {done} epochs in all", got=str(self.epochs), cure=cure)
        first = 0 if self.restarts else done
        return replace(plain, epochs=epochs, first_epoch=first, schedule_epochs=first + epochs)


def _trained(session: "Session", step: Step) -> int:
    """Epochs of the training before."""
    for earlier in reversed(session.steps[: step.index]):
        results: dict[str, Any] = session.directory.entry(earlier.name)["results"]
        if isinstance(earlier.stage, TrainStage) and "epochs" in results:  # not left out
            return int(results["epochs"]) + earlier.stage.first_epoch
    return 0
