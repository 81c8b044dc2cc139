"""The stage `eigen`."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, Field
from torch import nn

from secateurs import _distributed
from secateurs._files import write_json
from secateurs.criteria import Loss
from secateurs.eigen import EigenOptions, FactorOptions, Rotation, rotate_and_prove
from secateurs.recipes._figures import figures
from secateurs.recipes._section import STRICT, Count, Name, Ratio
from secateurs.recipes._seeds import stage_seed
from secateurs.recipes.stages._base import Masking, StageType, Step
from secateurs.recipes.stages._stop import StopSection, reason_to_stop
from secateurs.surgery import copy_model, record

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["ROTATION_FILE", "EigenStage"]

ROTATION_FILE = "rotation.json"
_KEPT: Mapping[str, Any] = {"verified": 0.0, "layers": {}}
"""Of a cut that is left out."""


class EigenStage(StageType, BaseModel):
    """Cut in the eigenbasis of the Fisher matrix's Kronecker factors: layers become bottlenecks, outer widths stay.

    In a `repeat`, with training between, bottlenecks are cut further and never nest. The published settings are
    `remove: {units: 0.5}`, `order: importance` and `limit: 0.5`, 7 times, or once with `limit: 0.95`. Source: Wang et
    al., EigenDamage, 2019.
    """

    model_config = STRICT
    cuts: ClassVar[bool] = True
    masking: ClassVar[Masking] = "refuses"
    type: Literal["eigen"]
    name: Name | None = None
    remove: dict[Literal["macs", "params", "bytes", "units"], Ratio] = Field(min_length=1)
    """Fraction to remove of each, from the model as this stage finds it; rotations are counted. `units` are directions
    of all layers that take part (`prune_ratio`)."""
    images: Count | None = None
    """Training images to look at, in whole batches; None for all."""
    fisher: Literal["true", "sampled", "empirical"] = "true"
    """Over labels as the network itself gives them chances, by random signs or (`sampled`) by one label drawn per
    image; or with the labels of the data (`fisher_type`)."""
    inputs: Literal["channel", "patch"] = "channel"
    """Directions of channels, or of channels and kernel offsets together (`sua`, `use_patch`)."""
    decay: float | None = Field(default=None, ge=0, lt=1)
    """Weight that a running average of the factors keeps at every batch; None for plain means."""
    damping: float = Field(default=0.0, ge=0)
    """Added to both factors."""
    limit: Ratio = 0.95
    """Largest fraction of the directions of one side of a layer that goes (`prune_ratio_limit`)."""
    order: Literal["cost", "importance"] = "cost"
    """As little importance as possible goes for what is saved; or the least important directions, one threshold for all
    layers, as published."""
    normalize: bool = False
    """Divide importances by their sum over the layer."""
    ekfac: bool = False
    """Correct eigenvalues by a second pass (`correct_eigenvalues`)."""
    method: Literal["directions", "tucker"] = "directions"
    """Keep eigenvectors, or the Tucker decomposition of the same ranks (`decomp_method`)."""
    rotations: Literal["trainable", "fixed"] = "trainable"
    """Whether the 1x1 layers are trained further (`fix_rotation`)."""
    fold: bool = True
    """Multiply a rotation into the layer between where that is cheaper."""
    norms: Literal["renewed", "kept"] = "renewed"
    """Move stored statistics of batch norms as the cut moved those of the images, or leave them as they are."""
    protect: tuple[str, ...] = ()
    """Patterns of layers that stay whole."""
    stop: StopSection | None = None
    """When cuts have gone far enough: this one is then left out."""
    verify: bool = True
    """Prove that the bottlenecks compute what the layers compute with the weights that are left."""

    def describe(self) -> str:
        """The stage in a few words."""
        ratios = ", ".join(f"{100 * ratio:g} % of {name}" for name, ratio in self.remove.items())
        return f"remove {ratios} in the eigenbasis"

    def run(self, session: "Session", step: Step) -> dict[str, Any]:
        """Measure, rotate, cut, prove; the results for run.json."""
        before = figures(session, session.model)
        asked = {str(name): ratio for name, ratio in self.remove.items()}
        stopped = None if self.stop is None else reason_to_stop(session, step, self.stop, before)
        if stopped is not None:
            session.save_model(step)
            nothing = dict.fromkeys(asked, 0.0)
            return {
                "before": before,
                "after": before,
                "asked": nothing,
                "removed": nothing,
                **_KEPT,
                "stopped": stopped,
            }
        model, change, error = self._rotated(session, step)
        session.model = model
        write_json(session.directory.folder(step.name) / ROTATION_FILE, change.to_json())
        session.save_model(step)
        return {
            "before": before,
            "after": figures(session, session.model),
            "asked": asked,
            "removed": _removed(change),
            "verified": error,
            "layers": {path: asdict(widths) for path, widths in change.layers.items()},
        }

    def _rotated(self, session: "Session", step: Step) -> tuple[nn.Module, Rotation, float | None]:
        """The same on every rank: rank 0 decides, and the others get its weights."""
        made: list[tuple[nn.Module, Rotation, float | None]] = []

        def decide() -> dict[str, Any]:
            batches, loss = self._batches(session)
            options = self._options(stage_seed(session.recipe.seed, step.index))
            remove = {str(name): ratio for name, ratio in self.remove.items()}
            common: dict[str, Any] = {"options": options, "loss": loss, "protect": self.protect, "verify": self.verify}
            made.append(rotate_and_prove(session.model, batches, remove=remove, **common))
            return {"change": made[0][1].to_json(), "error": made[0][2]}

        decided = _distributed.decided(decide)
        if not made:
            change, model = Rotation.from_json(decided["change"]), copy_model(session.model)
            change.carry_out(model)
            record(model, change)
            made.append((model, change, decided["error"]))
        _distributed.broadcast_tensors([*made[0][0].parameters(), *made[0][0].buffers()])
        return made[0]

    def _batches(self, session: "Session") -> tuple[Iterable[Any], Loss]:
        images = session.evaluation_batches(session.splits.train, whole=True)
        batches, loss = session.objective.for_scores(images)
        if self.images is None:
            return batches, loss
        return _First(batches=batches, count=-(-self.images // session.recipe.batches.size)), loss

    def _options(self, seed: int) -> EigenOptions:
        factors = FactorOptions(
            fisher=self.fisher, inputs=self.inputs, decay=self.decay, damping=self.damping, seed=seed
        )
        return EigenOptions(
            factors=factors,
            limit=self.limit,
            order=self.order,
            normalize=self.normalize,
            ekfac=self.ekfac,
            method=self.method,
            rotations=self.rotations,
            fold=self.fold,
            norms=self.norms,
        )


def _removed(change: Rotation) -> dict[str, float]:
    """Fractions of the model as it was."""
    pairs = {name: (getattr(change.before, name), getattr(change.cost, name)) for name in ("macs", "params", "bytes")}
    pairs["units"] = change.directions
    return {name: 1 - after / dense if dense else 0.0 for name, (dense, after) in pairs.items()}


@dataclass(frozen=True, kw_only=True)
class _First:
    """The first batches, as often as asked for."""

    batches: Iterable[Any]
    count: int

    def __iter__(self) -> Iterator[Any]:
        return islice(iter(self.batches), self.count)
