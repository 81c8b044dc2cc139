"""Pruning in levels, layer by layer."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from secateurs._files import load_tensors
from secateurs.reporting._figure import BLUE, ORANGE, colour_of, legend_beside, marker_of, name_layers, new_figure, tidy
from secateurs.reporting._levels import Level, LevelRuns, by_method, layers_of, levels_at

__all__ = ["FILE", "ends_of", "lost_figure", "unitmem_layers_figure", "unitmem_units_figure", "width_for"]

FILE = "unitmem.safetensors"
"""In the folder of each level: LAYER.values, .images, .units, .activations, and indices."""


def unitmem_layers_figure(name: str, runs: LevelRuns) -> Any:
    """Mean UnitMem of each layer at every level: a panel for each method, a line for each level."""
    groups = {method: group for method, group in by_method(runs).items() if _is_measured(group)}
    layers = layers_of(runs)
    figure = new_figure(width_for(layers), 1.4 + 1.9 * len(groups))
    panels = figure.subplots(len(groups), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    deepest = max(len(run.levels) for group in groups.values() for run in group)
    for panel, (method, group) in zip(panels, groups.items(), strict=True):
        for number in range(deepest):
            means = _means([level.by_layer for level in levels_at(group, number)], layers)
            panel.plot(range(len(layers)), means, color=_shade(number, deepest), marker=".", linewidth=1.2)
        panel.set_ylabel("mean UnitMem")
        panel.set_title(method, fontsize=10, loc="left")
        tidy(panel)
    name_layers(panels[-1], layers)
    _level_bar(figure, panels, deepest)
    figure.suptitle(f"{name}: UnitMem of each layer, before each level", x=0.01, ha="left")
    return figure


def ends_of(levels: Sequence[Level]) -> list[tuple[str, Level]]:
    """The first and the last level whose UnitMem was kept, and what is said of the network that was measured there."""
    measured = [level for level in levels if (level.folder / FILE).exists()]
    ends = [measured[0], measured[-1]] if len(measured) > 1 else measured
    gone = {level.number + 1: level.sparsity for level in levels}
    return [(f"before level {level.number}, {gone.get(level.number, 0.0):.3g} % removed", level) for level in ends]


def unitmem_units_figure(name: str, levels: Sequence[Level]) -> Any:
    """UnitMem of single units, by layer: before the first level and before the last, with the layers' means."""
    ends = ends_of(levels)
    layers = list(dict.fromkeys(layer for _, level in ends for layer in level.lost))
    figure = new_figure(width_for(layers), 4.8)
    axes = figure.subplots()
    for (title, level), colour, marker, offset in zip(ends, (BLUE, ORANGE), "o^", (-0.2, 0.2), strict=False):
        tensors, _ = load_tensors(level.folder / FILE)
        values = [tensors[f"{layer}.values"].tolist() if f"{layer}.values" in tensors else [] for layer in layers]
        for place, own in enumerate(values):
            places = [place + offset + _aside(number) for number in range(len(own))]
            axes.plot(places, own, color=colour, marker=marker, markersize=2.5, linestyle="none", alpha=0.45)
        means = [statistics.fmean(own) if own else float("nan") for own in values]
        places = [place + offset for place in range(len(layers))]
        look = {"marker": marker, "markersize": 7, "markeredgecolor": "black", "linestyle": "none"}
        axes.plot(places, means, color=colour, label=f"{title}; large: the mean", **look)
    axes.set_ylabel("UnitMem of a unit")
    axes.set_ylim(-0.02, 1.02)
    name_layers(axes, layers)
    tidy(axes)
    figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    figure.suptitle(f"{name}: UnitMem of every unit", x=0.01, ha="left")
    return figure


def lost_figure(name: str, runs: LevelRuns) -> Any:
    """Which layers have lost how much after the last level, a line for each method."""
    layers = layers_of(runs)
    figure = new_figure(width_for(layers) + 1.5, 4.2)
    axes = figure.subplots()
    for number, (method, group) in enumerate(by_method(runs).items()):
        means = _means([run.levels[-1].lost for run in group], layers)
        shown = [100 * mean for mean in means]
        look = {"color": colour_of(number), "marker": marker_of(number), "markersize": 4, "linewidth": 1.4}
        axes.plot(range(len(layers)), shown, label=method, **look)
    axes.set_ylim(-3, 103)
    axes.set_ylabel("removed by the last level, % of the layer")
    name_layers(axes, layers)
    tidy(axes)
    legend_beside(axes)
    figure.suptitle(f"{name}: where the removed units were", x=0.01, ha="left")
    return figure


def _is_measured(group: LevelRuns) -> bool:
    return any(level.by_layer for run in group for level in run.levels)


def _means(found: Sequence[Mapping[str, float]], layers: Sequence[str]) -> list[float]:
    """Over runs; not a number, which leaves a gap, for layers that none of them has."""
    values = [[own[layer] for own in found if layer in own] for layer in layers]
    return [statistics.fmean(own) if own else float("nan") for own in values]


def width_for(layers: Sequence[str]) -> float:
    """Inches that the names of layers need."""
    return max(7.0, 2 + 0.36 * len(layers))


def _aside(number: int) -> float:
    """Spreads the points of a layer sideways, the same way in every picture."""
    return 0.13 * (2 * (number * 0.618034 % 1) - 1)


def _shade(number: int, count: int) -> Any:
    from matplotlib import colormaps

    # Viridis is even for any colour vision; its last, light yellow fifth is hard to see on white.
    return colormaps["viridis"](0.85 * number / max(count - 1, 1))


def _level_bar(figure: Any, panels: Sequence[Any], count: int) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    shades = ListedColormap([_shade(number, count) for number in range(count)])
    scale = ScalarMappable(norm=Normalize(-0.5, count - 0.5), cmap=shades)
    bar = figure.colorbar(
        scale, ax=list(panels), label="level", aspect=30, shrink=min(1.0, 2.4 / len(panels)), pad=0.01
    )
    bar.ax.yaxis.get_major_locator().set_params(integer=True)
