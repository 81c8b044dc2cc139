"""How activations, or UnitMem, are spread within each layer."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from secateurs._files import load_tensors
from secateurs.reporting._figure import BLUE, ORANGE, name_layers, new_figure, tidy
from secateurs.reporting._levels import Level
from secateurs.reporting._levels_layers import FILE, ends_of, width_for

__all__ = ["violin_figure"]

_POINTS = 400
"""Quantiles that stand for all the activations of a layer; the estimate of densities takes the square of it."""


def violin_figure(name: str, levels: Sequence[Level]) -> Any:
    """Left halves: before the first level; right: before the last. Activations where they were kept, else UnitMem."""
    layers = list(dict.fromkeys(layer for level in levels for layer in level.lost))
    ends = [(title, load_tensors(level.folder / FILE)[0]) for title, level in ends_of(levels)]
    kept = all(any(key.endswith(".activations") for key in tensors) for _, tensors in ends)
    figure = new_figure(width_for(layers), 5.0)
    axes = figure.subplots()
    halves: tuple[str | None, ...] = ("low", "high") if len(ends) > 1 else (None,)
    for (title, tensors), half, colour in zip(ends, halves, (BLUE, ORANGE), strict=False):
        key = "activations" if kept else "values"
        found = [tensors.get(f"{layer}.{key}", torch.empty(0)) for layer in layers]
        # Most activations are near zero, and some far from it: densities are those of their square roots.
        shown = [own.clamp(min=0).sqrt() if kept else own for own in found]
        _violins(axes, [_quantiles(own) for own in shown], half, colour)
        axes.fill_between([], [], color=colour, alpha=0.6, linewidth=0, label=title)
    what = "activation (square root scale)" if kept else "UnitMem of a unit"
    axes.set_ylabel(what)
    if kept:
        _label_roots(axes)
    name_layers(axes, layers)
    tidy(axes)
    figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    title = "mean activation of every unit for every image" if kept else "UnitMem of all units"
    figure.suptitle(f"{name}: {title}, by layer (line: the median)", x=0.01, ha="left")
    return figure


def _violins(axes: Any, columns: Sequence[list[float]], half: str | None, colour: str) -> None:
    shown = [(place, own) for place, own in enumerate(columns) if own]
    if not shown:
        return
    places, values = zip(*shown, strict=True)
    side = {} if half is None else {"side": half}
    drawn = axes.violinplot(values, places, widths=0.85, showextrema=False, showmedians=True, **side)
    for body in drawn["bodies"]:
        body.set(facecolor=colour, alpha=0.6, linewidth=0)
    drawn["cmedians"].set(color="black", linewidth=1)


def _label_roots(axes: Any) -> None:
    """Activations beside the heights at which their square roots stand."""
    top = axes.get_ylim()[1]
    labels = sorted({0.0, *(float(f"{(top * number / 6) ** 2:.1g}") for number in range(1, 7))})
    axes.set_yticks([label**0.5 for label in labels], [f"{label:g}" for label in labels])
    axes.set_ylim(0, top)


def _quantiles(values: Tensor) -> list[float]:
    """All of a few values; of many, evenly spaced quantiles, which are spread alike."""
    ordered = values.flatten().double().sort().values
    if len(ordered) > _POINTS:
        places = torch.linspace(0, len(ordered) - 1, _POINTS, dtype=torch.float64).round().long()
        ordered = ordered[places]
    found: list[float] = ordered.tolist()
    return found
