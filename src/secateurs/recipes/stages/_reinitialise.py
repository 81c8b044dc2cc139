"""The stage `reinitialise`: the network keeps its sizes and forgets what it has learned."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from pydantic import BaseModel
from torch import nn

from secateurs._errors import ConfigError
from secateurs.recipes._section import STRICT, Name
from secateurs.recipes._seeds import stage_seed
from secateurs.recipes.stages._base import Masking, StageType, Step

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["ReinitialiseStage"]


class ReinitialiseStage(StageType, BaseModel):
    """Give every module the random weights that it would be made with at its present size.

    After a cut, training then shows what the sizes alone are worth. Each module draws as its class does
    (`reset_parameters`), the same weights on every device.
    """

    model_config = STRICT
    masking: ClassVar[Masking] = "refuses"
    type: Literal["reinitialise"]
    name: Name | None = None

    def describe(self) -> str:
        """The stage in a few words."""
        return "draw new weights"

    def run(self, session: "Session", step: Step) -> dict[str, Any]:
        """Draw anew, by the stage's own seed."""
        model = session.model.to("cpu")
        modules = [(name, module) for name, module in model.named_modules() if _holds_values(module)]
        for name, module in modules:
            if not callable(getattr(module, "reset_parameters", None)):
                raise ConfigError(
                    f"{step.name}: {name or type(model).__name__}",
                    wanted="modules that draw their own weights, with a method reset_parameters",
                    got=type(module).__name__,
                    cure="Write that method, or build the smaller network itself and train it.",
                )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stage_seed(session.recipe.seed, step.index))
            for _, module in modules:
                module.reset_parameters()
        session.model = model.to(session.device)
        session.save_model(step)
        return {"modules": len(modules)}


def _holds_values(module: nn.Module) -> bool:
    """Parameters of its own; index buffers that scatters read are places, and stay."""
    return any(True for _ in module.parameters(recurse=False))
