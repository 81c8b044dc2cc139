"""One level of single weights by magnitude: as many as a sibling run lost with its units."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor

from secateurs._errors import ConfigError
from secateurs.graph import Graph, trace
from secateurs.masks import maskable_layers
from secateurs.recipes._figures import figures
from secateurs.recipes._level_format import EXPERIMENT, PRUNED_FILE
from secateurs.recipes.stages._base import Masking, Step
from secateurs.recipes.stages._level import LevelBase, earlier_levels, experiment_of
from secateurs.recipes.stages._level_mask import made_masks, masks_so_far, put_on
from secateurs.recipes.stages._level_units import LevelUnits

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["Counting", "LevelWeightsStage", "weights_of_units"]

Counting = Literal["once", "listed"]
Pruned = Mapping[str, Mapping[str, Sequence[int]]]
"""Level -> layer -> units, as in pruned_indices.json."""


class LevelWeightsStage(LevelBase):
    """A level that masks the smallest weights of all layers that take part, compared as they are."""

    masking: ClassVar[Masking] = "makes"
    type: Literal["level_weights"]
    like: str
    """The variant, or the pruned_indices.json, whose units are counted."""
    counting: Counting
    """How their weights are counted."""

    @property
    def method(self) -> str:
        """What decides, in a word."""
        return "magnitude of weights"

    def describe(self) -> str:
        """The stage in a few words."""
        return f"level {self.level}: as many weights, the smallest, as {self.like} lost with its units"

    def check(self) -> None:
        """Nothing is named that could be tried before the sibling has run."""

    def run(self, session: "Session", step: Step) -> dict[str, Any]:
        """Count, rank, mask."""
        before = figures(session, session.model)
        graph = trace(session.model, args=(session.example(),))
        units = LevelUnits.of(session, graph, protect=self.protect, kinds=self.kinds)
        seen = self.observed(session, step, graph, units)
        pruned = _read(_file(session, step, self.like), self.level)
        asked = weights_of_units(graph, units, [pruned[str(level)] for level in range(self.level + 1)], self.counting)
        kept = masks_so_far(session, step, graph, "weight")
        pool = {layer: kept[layer] for layer in units.layers}
        gone_before = sum(entry["removed_count"] for entry in earlier_levels(session, step))
        # One weight of each layer stays, or nothing would pass through it.
        most = sum(stays.numel() - 1 for stays in pool.values())
        count = max(min(asked, most) - gone_before, 0)
        weights = {layer: graph.tensor(f"{layer}.weight").detach().cpu() for layer in units.layers}
        removed = _smallest(weights, pool, count)
        masks = made_masks(kept | removed, "weight", self.method)
        put_on(session, step, graph, masks)
        left = {layer: int(stays.sum()) for layer, stays in removed.items()}
        everything = sum(stays.numel() for stays in pool.values())
        return {
            "level": self.level,
            "method": self.method,
            "choice": self.choice,
            "target_sparsity": self.target,
            "sparsity": 100 * (gone_before + count) / everything,
            "units": everything,
            "asked_units": asked - gone_before,
            "removed_count": count,
            "removed_units": {layer: [] for layer in units.layers},
            "removed_weights": {layer: int(pool[layer].sum()) - left[layer] for layer in left},
            "layer_sizes": dict(units.sizes),
            "kept_units": left,
            "before": before,
            "after": figures(session, session.model),
        } | seen.results


def weights_of_units(
    graph: Graph, units: LevelUnits, levels: Sequence[Mapping[str, Sequence[int]]], counting: Counting
) -> int:
    """How many weights of convolutions and linear layers go with the units of all `levels` together.

    Args:
        graph: of the network with all its units.
        units: those that take part.
        levels: layer -> units, for each level.
        counting: "once": what a cut of these units removes, the weights that make them and those that read them, each
            counted once; nothing reads a branch unit alone. "listed", as the published code counts: for n units of a
            layer, n times its inputs and n times the outputs of the next layer in the list, times the kernel's
            places, whatever else is gone and however the layers are connected.
    """
    if counting == "listed":
        return sum(_listed(graph, units, level) for level in levels)
    gone = {layer: {unit for level in levels for unit in level.get(layer, ())} for layer in units.layers}
    removed = {
        own.axis.name: [unit for unit, rows in enumerate(units.rows[own.axis.name]) if gone[own.layer] & set(rows)]
        for own in units.owns
    }
    plan = graph.plan(removed)
    paths = [layer.weight for layer in maskable_layers(graph.model, graph)]
    return sum(torch.Size(graph.shapes[path]).numel() - _left(plan.kept(path)) for path in paths)


def _left(kept: Sequence[Tensor]) -> int:
    return torch.Size([len(places) for places in kept]).numel()


def _listed(graph: Graph, units: LevelUnits, level: Mapping[str, Sequence[int]]) -> int:
    shapes = [graph.shapes[f"{layer}.weight"] for layer in units.layers]
    count = 0
    for layer, shape, after in zip(units.layers, shapes, [*shapes[1:], None], strict=True):
        gone, places = len(level.get(layer, ())), torch.Size(shape[2:]).numel()
        outputs = 0 if after is None else after[0]
        count += gone * places * (shape[1] + outputs)
    return count


def _smallest(weights: Mapping[str, Tensor], kept: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """What stays of each layer when the `count` smallest of all weights that stay go too; its largest stays always."""
    sizes = torch.cat([weights[layer].abs().double().flatten() for layer in weights])
    stays = torch.cat([kept[layer].flatten() for layer in weights])
    candidates = stays.clone()
    start = 0
    for layer, weight in weights.items():
        held = weight.abs().double().flatten().masked_fill(~kept[layer].flatten(), -1)
        candidates[start + int(held.argmax())] = False
        start += weight.numel()
    order = torch.sort(sizes.masked_fill(~candidates, float("inf")), stable=True).indices
    stays[order[:count]] = False
    parts = stays.split([weight.numel() for weight in weights.values()])
    return {layer: part.view(weights[layer].shape) for layer, part in zip(weights, parts, strict=True)}


def _file(session: "Session", step: Step, like: str) -> Path:
    if like.endswith(".json"):
        return Path(like)
    folder = session.part.home / like / str(session.recipe.seed)
    return folder / f"{EXPERIMENT}{experiment_of(session, step)}" / PRUNED_FILE


def _read(file: Path, level: int) -> Pruned:
    try:
        pruned: Pruned = json.loads(file.read_text(encoding="utf-8"))
        if not all(isinstance(pruned[str(number)], dict) for number in range(level + 1)):
            raise ValueError("something else")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            "levels.like",
            wanted=f"levels 0 to {level} in {file}",
            got=f"{type(error).__name__}: {error}",
            cure="Name a variant of the same study that comes before this one, with as many levels, or a file.",
        ) from error
    return pruned
