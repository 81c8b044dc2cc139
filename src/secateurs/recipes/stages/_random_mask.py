"""The stage `random_mask`: units chosen by lot, the baseline of every learned mask."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import BaseModel, Field, model_validator

from secateurs.graph import trace
from secateurs.masks import apply_masks, random_masks, reshuffled
from secateurs.recipes._figures import figures
from secateurs.recipes._section import STRICT, Name
from secateurs.recipes._seeds import stage_seed
from secateurs.recipes.stages._base import Masking, StageType, Step
from secateurs.recipes.stages._mask_section import MASKS_FILE, MaskSection, mask_results

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["RandomMaskStage"]


class RandomMaskStage(StageType, BaseModel):
    """Mask units at random: with the rates of `mask`, or with those that the masks in force have in each layer."""

    model_config = STRICT
    masking: ClassVar[Masking] = "makes"
    type: Literal["random_mask"]
    name: Name | None = None
    mask: MaskSection = Field(default_factory=MaskSection)
    """What the mask is made of; scores do not come into it, so `scope`, `rank` and `signed` stay as they are."""
    same_rates: bool = False
    """Draw again as many units of each layer as the masks in force leave: is it the structure or the choice?
    Weights that those masks have set to zero come back as they were before."""

    @model_validator(mode="after")
    def _layerwise(self) -> Self:
        if self.mask.scope != "layerwise" or self.mask.rank != "absolute" or self.mask.signed:
            raise ValueError("scope layerwise, rank absolute and no `signed`, because nothing is ranked")
        return self

    @property
    def needs_masks(self) -> bool:
        """Rates are taken from the masks in force."""
        return self.same_rates

    def describe(self) -> str:
        """The stage in a few words."""
        if self.same_rates:
            return "draw the masked units of each layer again, at random"
        return f"remove {100 * self.mask.rate:g} % of each layer's {self.mask.granularity}s at random"

    def run(self, session: "Session", step: Step) -> Mapping[str, Any]:
        """Draw, mask, and tell what the network does right afterwards."""
        seed = stage_seed(session.recipe.seed, step.index)
        if self.same_rates and session.masks is not None:
            session.model = session.unmasked(step)
            masks = reshuffled(session.masks, seed=seed)
            graph = trace(session.model, args=(session.example(),))
        else:
            graph = trace(session.model, args=(session.example(),))
            masks = random_masks(graph, self.mask.plain(), seed=seed)
        apply_masks(session.model, masks.weights(graph))
        session.masks = masks
        masks.save(session.directory.folder(step.name) / MASKS_FILE)
        session.save_model(step)
        return {"after": figures(session, session.model), **mask_results(masks)}
