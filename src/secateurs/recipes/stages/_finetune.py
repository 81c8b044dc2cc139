"""The stage `finetune`: weights train again where the masks in force leave them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic.dataclasses import dataclass as checked_dataclass

from secateurs._errors import ConfigError
from secateurs.recipes._section import STRICT_DATACLASS
from secateurs.recipes.stages._base import Masking, Step
from secateurs.recipes.stages._mask_section import MaskSection
from secateurs.recipes.stages._train import TrainStage

if TYPE_CHECKING:
    from secateurs.recipes._session import Session
    from secateurs.training import BatchSource

__all__ = ["FinetuneStage"]


@checked_dataclass(frozen=True, kw_only=True, config=STRICT_DATACLASS)
class FinetuneStage(TrainStage):
    """Train under fixed masks: every option of `train`; the masks come from a stage before, or from `model.masks`."""

    masking: ClassVar[Masking] = "needs"
    type: Literal["finetune"]  # type: ignore[assignment]
    mask: MaskSection | None = None
    """What the masks in force must have been made with; None takes them as they are."""

    def describe(self) -> str:
        """The stage in a few words."""
        return f"finetune {self.epochs} epochs under the mask, {self.optimizer}, lr {self.lr:g}"

    @contextmanager
    def prepared(self, session: "Session", step: Step) -> "Iterator[BatchSource]":
        """As for training, once the masks are those that the recipe means."""
        self._check_agreement(session, step)
        with super().prepared(session, step) as batches:
            yield batches

    def _check_agreement(self, session: "Session", step: Step) -> None:
        if self.mask is None or session.masks is None:
            return
        made = asdict(session.masks.options)
        for name, wanted in asdict(self.mask.plain()).items():
            if made[name] != wanted:
                raise ConfigError(
                    f"{step.name} mask.{name}",
                    wanted=f"{made[name]!r}, with which the masks were made",
                    got=repr(wanted),
                    cure="Give both stages the same mask, or leave it out here.",
                )
