"""Masks on weights: learned by scores, random, or patterned; a mask makes nothing smaller until it is cut."""

from secateurs.masks._fixed import apply_masks, fixed_masks
from secateurs.masks._layers import Layer, layer_rates, maskable_layers
from secateurs.masks._masks import UnitMasks
from secateurs.masks._options import Granularity, MaskOptions
from secateurs.masks._popup import EdgePopupMasks, ScoreInit, initial_scores
from secateurs.masks._random import random_masks, reshuffled
from secateurs.masks._rank import expand_units, keep_units, unit_scores
from secateurs.masks._units import plan_of, settled

__all__ = [
    "EdgePopupMasks",
    "Granularity",
    "Layer",
    "MaskOptions",
    "ScoreInit",
    "UnitMasks",
    "apply_masks",
    "expand_units",
    "fixed_masks",
    "initial_scores",
    "keep_units",
    "layer_rates",
    "maskable_layers",
    "plan_of",
    "random_masks",
    "reshuffled",
    "settled",
    "unit_scores",
]
