"""Distillation, as recipes ask for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, Field
from torch import nn

from secateurs._errors import ConfigError
from secateurs.recipes._section import STRICT
from secateurs.recipes.stages._base import Step
from secateurs.surgery import kept_inputs
from secateurs.training import Distillation, DistillationOptions, Objective

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["DistilSection", "first_loss"]

_USUAL = DistillationOptions()


class FeaturesSection(BaseModel):
    """Features to copy."""

    model_config = STRICT
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Of their term in the loss."""
    match: Literal["kept", "attention"] = _USUAL.match
    """The channels that are left, or maps of where activations are high, whatever the channels."""
    layers: tuple[str, ...] | None = None
    """Patterns of the layers whose inputs are compared; if left out, the last that reads each size of image."""


class DistilSection(BaseModel):
    """Learn from another network's answers, and from its features (Hinton et al., 2015; Romero et al., 2015)."""

    model_config = STRICT
    teacher: Path | None = None
    """A file of weights, or a run's directory, as in `model.weights`; if left out, the run's own network as it was
    before the first stage that took something from it."""
    temperature: Annotated[float, Field(gt=0)] = _USUAL.temperature
    """By which scores are divided."""
    alpha: Annotated[float, Field(ge=0, le=1)] = _USUAL.alpha
    """Weight of the teacher's answers; labels have the rest."""
    features: FeaturesSection | None = None
    """Features to copy too."""

    @property
    def options(self) -> DistillationOptions:
        """The same for training."""
        features = {} if self.features is None else {"features": self.features.weight, "match": self.features.match}
        return DistillationOptions(temperature=self.temperature, alpha=self.alpha, **features)  # type: ignore[arg-type]

    def check(self, where: str) -> None:
        """The teacher's weights are there."""
        if self.teacher is not None and not self.teacher.exists():
            cure = "Name a file of weights or a run's directory, or leave it out for the network before the cut."
            raise ConfigError(f"{where}.distil.teacher", wanted="a file", got=f"none at {self.teacher}", cure=cure)

    @contextmanager
    def taught(
        self,
        session: "Session",
        step: Step,
        objective: Objective,
        *,
        student: nn.Module,
        teacher: nn.Module | None = None,
    ) -> Iterator[Objective]:
        """The objective with a teacher beside it.

        Args:
            student: the network that is trained.
            teacher: in the place of the run's own, where no other is asked for.
        """
        if self.teacher is not None:
            teacher = session.other(self.teacher)
        elif teacher is None:
            before = first_loss(session.steps[: step.index])
            assert before is not None  # the recipe was checked
            teacher = session.restored(before.index)
        features = None
        if self.features is not None:
            features = kept_inputs(student, teacher, session.example(), layers=self.features.layers)
        made = Distillation(teacher, self.options, objective=objective, student=student, features=features)
        with made as taught:
            yield taught


def first_loss(steps: tuple[Step, ...]) -> Step | None:
    """The first stage that takes something from the network, by cuts or by masks."""
    return next((step for step in steps if step.stage.cuts or step.stage.masking == "makes"), None)
