"""The stage `gops`: what the design costs to run, to train and to keep, before and after the cuts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel
from torch import nn

from secateurs._files import write_json
from secateurs.cost import design_gops
from secateurs.recipes._section import STRICT, Count, Name
from secateurs.recipes.stages._base import StageType, Step

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["GOPS_FILE", "GopsStage"]

GOPS_FILE = "gops.json"


class GopsStage(StageType, BaseModel):
    """Count operations and memory into gops.json: of the model as it is, and as it was before the first cut.

    `unpruned` and `pruned` (null where nothing was cut) hold, in GOps of 2 operations to a multiply-add,
    `inference_gops` of a minibatch and of an image; `training_gops` (forward and backward) of a minibatch, of an
    image, and of an epoch over the training images that an epoch has, whatever the size of the minibatch;
    `memory_mb` of parameters and of activations; and the parts of every layer. `inf`, `ft` and `mem` repeat GOps of
    one minibatch's inference, GOps of an epoch and MB of parameters under the names that earlier tools read.
    """

    model_config = STRICT
    changes: ClassVar[bool] = False
    type: Literal["gops"]
    name: Name | None = None
    minibatch: Count | None = None
    """Images in a minibatch; None for those of the recipe's `batches.size`."""

    def describe(self) -> str:
        """The stage in a few words."""
        return "count GOps of inference and training"

    def run(self, session: "Session", step: Step) -> dict[str, Any]:
        """Count, write, and give the same without the layers."""
        first = session.first_cut()
        is_cut = first is not None and first.index < step.index
        dense = session.restored(first.index) if first is not None and is_cut else session.model
        sides = {"unpruned": self._counted(session, dense)}
        sides["pruned"] = self._counted(session, session.model) if is_cut else None
        sizes = {"minibatch": self._minibatch(session), "epoch_images": session.epoch_images}
        content = {**_brief(sides), **sizes, **sides}
        write_json(session.directory.folder(step.name) / GOPS_FILE, content)
        plain = {side: _without_layers(found) for side, found in sides.items()}
        return {"gops": {**sizes, **plain}}

    def _minibatch(self, session: "Session") -> int:
        return self.minibatch or session.recipe.batches.size

    def _counted(self, session: "Session", model: nn.Module) -> dict[str, Any] | None:
        images, minibatch = session.epoch_images, self._minibatch(session)
        return design_gops(model, session.example(), minibatch=minibatch, epoch_images=images)


def _brief(sides: Mapping[str, dict[str, Any] | None]) -> dict[str, Any]:
    """The three figures that the published tool kept, of the model as it is and of both."""
    now = sides["pruned"] or sides["unpruned"]
    assert now is not None
    return {
        "inf": now["inference_gops"]["minibatch"],
        "ft": {side: found and found["training_gops"]["epoch"] for side, found in sides.items()},
        "mem": {side: found and found["memory_mb"]["parameters"] for side, found in sides.items()},
    }


def _without_layers(found: dict[str, Any] | None) -> dict[str, Any] | None:
    return found and {name: value for name, value in found.items() if name != "layers"}
