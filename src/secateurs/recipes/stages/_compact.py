"""The stage `compact`: channels that the masks leave out are really cut."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from secateurs._errors import ConfigError, VerifyError
from secateurs.graph import trace
from secateurs.masks import maskable_layers, plan_of, settled
from secateurs.recipes._figures import figures, kept_axes, removed_fractions
from secateurs.recipes._planned import planned
from secateurs.recipes._section import STRICT, Name
from secateurs.recipes.stages._base import Masking, StageType, Step
from secateurs.surgery import apply, relative_error, tensors_in

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["CompactStage"]

_TOLERANCE = 1e-5


class CompactStage(StageType, BaseModel):
    """Cut what a mask of channels leaves out, also single producers of a residual sum, and prove it equal."""

    model_config = STRICT
    cuts: ClassVar[bool] = True
    masking: ClassVar[Masking] = "cuts"
    type: Literal["compact"]
    name: Name | None = None
    verify: bool = True
    """Prove that the cut model equals the masked one."""

    def describe(self) -> str:
        """The stage in a few words."""
        return "cut the masked channels"

    def run(self, session: "Session", step: Step) -> Mapping[str, Any]:
        """Plan, cut, compare with the masked network on real images."""
        masks = session.masks
        assert masks is not None
        if masks.options.granularity != "channel":
            raise ConfigError(
                step.name,
                wanted="a mask of channels",
                got=f"one of {masks.options.granularity}s",
                cure="Set mask.granularity: channel; single weights leave holes that no smaller tensor has.",
            )
        before, example = figures(session, session.model), session.example()
        graph = trace(session.model, args=(example,))
        layers = maskable_layers(session.model, graph)
        plan = planned(lambda: plan_of(graph, layers, masks.units))
        result = apply(session.model, plan, verify=self.verify, example=(example,))
        images = session.first_images()
        difference = relative_error(_outputs(session.model, images), _outputs(result.model, images))
        if self.verify and difference > _TOLERANCE:
            raise VerifyError(
                step.name,
                wanted=f"outputs of the masked network to {_TOLERANCE:g}",
                got=f"a relative difference of {difference:.2g}",
                cure="The network reacts to channels that are zero; keep the mask and leave this stage out.",
            )
        session.model, session.masks = result.model, None
        plan.save(session.directory.folder(step.name) / "plan.json")
        session.save_model(step)
        axes = kept_axes(graph, plan, branches=True)
        return {
            "before": before,
            "after": figures(session, session.model),
            "asked": {},
            "removed": removed_fractions(plan, axes),
            "verified": result.report.error,
            "masked_difference": difference,
            "masked_and_left": settled(plan, layers, masks.units),
            "axes": [asdict(axis) for axis in axes],
        }


@torch.no_grad()
def _outputs(model: nn.Module, images: Tensor) -> list[Tensor]:
    """All tensors that the model gives in eval mode."""
    return list(tensors_in(model.eval()(images)))
