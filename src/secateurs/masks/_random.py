"""Random masks: the baseline that says whether the choice mattered or the structure alone."""

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from secateurs.graph import Graph
from secateurs.masks._layers import layer_rates, maskable_layers
from secateurs.masks._masks import UnitMasks
from secateurs.masks._options import MaskOptions
from secateurs.masks._rank import random_units, unit_scores

__all__ = ["random_masks", "reshuffled"]


def random_masks(graph: Graph, options: MaskOptions, *, seed: int) -> UnitMasks:
    """Remove the rate of each layer's units at random, as many as layerwise ranking would; protected ones stay.

    Raises:
        ConfigError: options that do not fit the model.
    """
    layers = maskable_layers(graph.model, graph)
    shapes = {layer.name: _unit_shape(layer.module, options) for layer in layers}
    generator = torch.Generator().manual_seed(seed)
    counts = {name: math.prod(shape) for name, shape in shapes.items()}
    kept = random_units(counts, generator, layer_rates(layers, options), floor=options.floor)
    return UnitMasks(
        units={name: kept[name].reshape(shapes[name]) for name in shapes}, options=options, origin="random"
    )


def reshuffled(masks: UnitMasks, *, seed: int) -> UnitMasks:
    """As many units of each layer as `masks` leaves, drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    units = {name: _shuffled(kept, generator) for name, kept in masks.units.items()}
    return replace(masks, units=units, origin="random at the same rates")


def _shuffled(kept: Tensor, generator: torch.Generator) -> Tensor:
    flat = kept.flatten().cpu()
    return flat[torch.randperm(flat.numel(), generator=generator)].view(kept.shape)


def _unit_shape(module: nn.Module, options: MaskOptions) -> tuple[int, ...]:
    weight = module.weight
    assert isinstance(weight, Tensor)
    return tuple(unit_scores(weight.detach(), options.granularity, signed=True).shape)
