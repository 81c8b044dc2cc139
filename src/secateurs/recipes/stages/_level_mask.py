"""One level of iterative pruning whose units stay in the network, as zeros."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch

from secateurs._errors import ConfigError
from secateurs.graph import Graph, trace
from secateurs.masks import Granularity, MaskOptions, UnitMasks, apply_masks, maskable_layers
from secateurs.recipes._figures import figures
from secateurs.recipes.stages._base import Masking, Step
from secateurs.recipes.stages._level import LevelBase, Removed
from secateurs.recipes.stages._level_units import LevelUnits
from secateurs.recipes.stages._mask_section import MASKS_FILE

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["LevelMaskStage", "made_masks", "masks_so_far", "put_on"]


class LevelMaskStage(LevelBase):
    """A level whose units are silenced: their weights, their biases, and the norm behind them.

    The published code masks the convolution alone; its norm goes on giving the unit a constant.
    """

    masking: ClassVar[Masking] = "makes"
    type: Literal["level_mask"]

    def run(self, session: "Session", step: Step) -> dict[str, Any]:
        """Score, rank, mask."""
        before = figures(session, session.model)
        graph = trace(session.model, args=(session.example(),))
        units = LevelUnits.of(session, graph, protect=self.protect, kinds=self.kinds)
        seen = self.observed(session, step, graph, units)
        removed = self.choose(session, step, graph, units, seen.values)
        results = self.results(session, step, units, removed) | seen.results
        put_on(session, step, graph, self._masks(session, step, graph, units, removed))
        return results | {"before": before, "after": figures(session, session.model)}

    def _masks(self, session: "Session", step: Step, graph: Graph, units: LevelUnits, removed: Removed) -> UnitMasks:
        masks = masks_so_far(session, step, graph, "channel")
        kept = {layer: stays.clone() for layer, stays in masks.items()}
        if unknown := [layer for layer in units.layers if layer not in kept]:
            cure = "Cut units instead (mode: cut), or protect this layer."
            raise ConfigError(step.name, wanted="torch.nn's convolutions and linear layers", got=unknown[0], cure=cure)
        for own in units.owns:
            for unit in removed.get(own.axis.name, ()):
                kept[own.layer][list(units.rows[own.axis.name][unit])] = False
        return made_masks(kept, "channel", self.method)


def masks_so_far(session: "Session", step: Step, graph: Graph, granularity: Granularity) -> dict[str, torch.Tensor]:
    """Layer to what stays of it, as the masks in force have it; all of it where there are none.

    Raises:
        ConfigError: masks of another granularity are in force.
    """
    masks = session.masks
    if masks is not None and masks.options.granularity != granularity:
        raise ConfigError(
            step.name,
            wanted=f"masks of {granularity}s, or none",
            got=f"masks of {masks.options.granularity}s",
            cure="Begin levels with a network without masks, or with masks of the same kind.",
        )
    if masks is not None:
        return {layer: kept.cpu() for layer, kept in masks.units.items()}
    channels = granularity == "channel"
    shapes = {layer.name: graph.shapes[layer.weight] for layer in maskable_layers(graph.model, graph)}
    return {name: torch.ones(shape[:1] if channels else shape, dtype=torch.bool) for name, shape in shapes.items()}


def put_on(session: "Session", step: Step, graph: Graph, masks: UnitMasks) -> None:
    """Masks into force, and into the stage's folder together with the model."""
    apply_masks(session.model, masks.weights(graph))
    session.masks = masks
    masks.save(session.directory.folder(step.name) / MASKS_FILE)
    session.save_model(step)


def made_masks(kept: dict[str, torch.Tensor], granularity: Granularity, origin: str) -> UnitMasks:
    """Masks that leave this of each layer."""
    left, everything = sum(int(stays.sum()) for stays in kept.values()), sum(stays.numel() for stays in kept.values())
    options = MaskOptions(rate=1 - left / everything, granularity=granularity, scope="global")
    return UnitMasks(units=kept, options=options, origin=f"{origin}, in levels")
