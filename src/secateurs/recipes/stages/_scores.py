"""The stage `scores`: weights stay, and a score for each learns which of them the network needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as checked_dataclass
from torch import Tensor

from secateurs._errors import ConfigError
from secateurs.graph import trace
from secateurs.masks import EdgePopupMasks, ScoreInit, UnitMasks, apply_masks
from secateurs.recipes._section import STRICT_DATACLASS
from secateurs.recipes._seeds import stage_seed
from secateurs.recipes.stages._base import Masking, Step
from secateurs.recipes.stages._mask_section import MASKS_FILE, MaskSection, mask_results
from secateurs.recipes.stages._train import TrainStage

if TYPE_CHECKING:
    from secateurs.recipes._session import Session
    from secateurs.training import BatchSource

__all__ = ["ScoresStage"]


@checked_dataclass(frozen=True, kw_only=True, config=STRICT_DATACLASS)
class ScoresStage(TrainStage):
    """Learn a mask by edge-popup: weights are frozen, their scores are trained with every option of `train`.

    Source: Ramanujan et al., What's Hidden in a Randomly Weighted Neural Network?, 2020.
    """

    masking: ClassVar[Masking] = "makes"
    type: Literal["scores"]  # type: ignore[assignment]
    mask: MaskSection = field(default_factory=MaskSection)
    """What the mask is made of."""
    score_init: ScoreInit = "kaiming"
    """Where scores begin: kaiming, uniform on 0..1, standard normal, or the weights themselves."""
    mask_warmup_epochs: Annotated[int, Field(ge=0)] = 0
    """Epochs at the beginning in which scores are trained and nothing is masked."""
    sign: bool = True
    """False leaves the sign of a score out of its gradient, which pushes negative ones the wrong way: an ablation."""

    through: Literal["unit", "weight"] = "unit"
    """`unit` gives every score of a unit the gradient of the unit; `weight` that of its own weight: an ablation."""

    def check(self) -> None:
        """As for training; and weights, which stay as they are, have no penalty."""
        super().check()
        if self.regularise is not None:
            cure = "Leave it out here, or train weights with it first."
            raise ConfigError(
                f"{self.name or self.type}.regularise", wanted="none", got=self.regularise.kind, cure=cure
            )

    def describe(self) -> str:
        """The stage in a few words."""
        mask = self.mask
        return f"learn scores {self.epochs} epochs, remove {100 * mask.rate:g} % of {mask.granularity}s, {mask.scope}"

    @contextmanager
    def prepared(self, session: "Session", step: Step) -> "Iterator[BatchSource]":
        """Scores on the model inside; afterwards zeros in its weights, and the masks in force."""
        graph = trace(session.model, args=(session.example(),))
        popup = EdgePopupMasks(
            session.model,
            self.mask.plain(),
            seed=stage_seed(session.recipe.seed, step.index),
            init=self.score_init,
            sign=self.sign,
            through=self.through,
            graph=graph,
        )
        batches = session.training_batches(step, channels_last=self.channels_last)
        try:
            yield _Watched(batches, popup, self.mask_warmup_epochs)
            popup.active = True
            units = {name: kept.cpu() for name, kept in popup.units().items()}
        finally:
            popup.close()
        origin = "learned" + ("" if self.sign else " without sign") + ("" if self.through == "unit" else " by weights")
        session.masks = UnitMasks(units=units, options=popup.options, origin=origin)
        apply_masks(session.model, session.masks.weights(graph))
        session.masks.save(session.directory.folder(step.name) / MASKS_FILE)

    def results(self, session: "Session") -> dict[str, Any]:
        """How much of each layer is gone."""
        return mask_results(session.masks)


class _Watched:
    """Batches that switch the mask on when the epoch comes, also in a run that was resumed."""

    def __init__(self, batches: "BatchSource", popup: EdgePopupMasks, warmup: int) -> None:
        self._batches, self._popup, self._warmup = batches, popup, warmup

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batches, name)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self._batches)

    def set_epoch(self, epoch: int) -> None:
        """Training calls this before each epoch."""
        self._popup.active = epoch >= self._warmup
        self._batches.set_epoch(epoch)  # type: ignore[attr-defined]
