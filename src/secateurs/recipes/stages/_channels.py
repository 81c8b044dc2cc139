"""The stage `channels`: what would be cut at each level, before anything is trained."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, Field

from secateurs._errors import BudgetError
from secateurs._files import write_json
from secateurs.graph import trace
from secateurs.recipes._channels import CHANNELS_FILE, removed_channels
from secateurs.recipes._planned import planned
from secateurs.recipes._section import STRICT, Name, Ratio
from secateurs.recipes.stages._base import Masking, StageType, Step
from secateurs.recipes.stages._cut_options import Amount, CutSection, scores_of, selected
from secateurs.surgery import apply, save

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["BASELINE", "ChannelsStage"]

BASELINE = "pre_ft_pp_"


class ChannelsStage(StageType, BaseModel):
    """Write which channels would go at each level, and on request the network cut so; the run's network stays whole.

    Beside what goes after fine-tuning it tells what fine-tuning has changed (`channel_difference`).
    """

    model_config = STRICT
    changes: ClassVar[bool] = False
    masking: ClassVar[Masking] = "refuses"
    type: Literal["channels"]
    name: Name | None = None
    remove: Amount = "params"
    """What levels are fractions of."""
    levels: tuple[Ratio, ...] = Field(default=tuple(percent / 100 for percent in range(5, 100, 5)), min_length=1)
    """Fractions to remove."""
    cut: CutSection = Field(default_factory=CutSection)
    """Which units go."""
    models: bool = False
    """Write the cut networks too, as pre_ft_pp_50.safetensors for 50 %."""

    def describe(self) -> str:
        """The stage in a few words."""
        return f"say which channels {len(self.levels)} cuts would take"

    def check(self) -> None:
        """There is such a criterion with such options."""
        self.cut.check()

    def run(self, session: "Session", step: Step) -> dict[str, Any]:
        """Score once, select for each level."""
        example, folder, cut = (session.example(),), session.directory.folder(step.name), self.cut
        graph = trace(session.model, args=example)
        scores = scores_of(session, step, cut, graph)
        channels, said = {}, []
        for level in self.levels:
            percent, remove = f"{100 * level:g}", {str(self.remove): level}
            try:
                plan = planned(lambda remove=remove: selected(graph, scores, cut, remove, cut.scope))  # type: ignore[misc]
            except BudgetError as error:
                said.append({"level": level, "reached": False, "why": str(error)})
                continue
            channels[percent] = removed_channels(graph, plan)
            said.append({"level": level, "reached": True, "params": plan.cost.params, "macs": plan.cost.macs})
            if self.models:
                result = apply(session.model, plan, verify=cut.verify, example=example)
                save(result, folder / f"{BASELINE}{percent}.safetensors")
                said[-1]["verified"] = result.report.error
        write_json(folder / CHANNELS_FILE, channels)
        return {"levels": said}
