"""Pruning aware of a subset of the classes against pruning on all of them, as pictures."""

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from secateurs.reporting._channels import filter_norms
from secateurs.reporting._figure import colour_of, legend_beside, marker_of, new_figure, tidy
from secateurs.reporting._spread import spread_of
from secateurs.reporting._subset_pairs import Cell, Difference, Value, cells, seed_means
from secateurs.reporting._subset_runs import ALL, WAYS, Removed, SubsetRun

__all__ = ["accuracy_figure", "channels_figure", "norms_figure", "training_cost_figure"]

_BINS = 50
_LOOK = {way: number for number, way in enumerate(("aware", "agnostic", "agnostic_steps", "retrained", "fine_tuned"))}
_UNPRUNED = "#D55E00"


def accuracy_figure(name: str, runs: Sequence[SubsetRun], value: Value, title: str) -> Any:
    """Accuracy against GOps per image: a row for each network, a column for each subset and one for their mean."""
    networks, subsets = _networks(runs), _subsets(runs)
    columns = [*subsets, *([None] if len(subsets) > 1 else [])]
    figure = new_figure(3.2 * len(columns) + 2.6, 3.1 * len(networks) + 0.6)
    panels = figure.subplots(len(networks), len(columns), squeeze=False, sharex="row", sharey="row")
    for row, network in zip(panels, networks, strict=True):
        for axes, subset in zip(row, columns, strict=True):
            chosen = subsets if subset is None else [subset]
            own = [run for run in runs if run.network == network and run.subset in chosen]
            _accuracies(axes, own, value, over_subsets=subset is None)
            axes.set_title(f"{network}, {subset or 'mean over subsets'}", fontsize=10, loc="left")
            # Small networks' GOps are numbers too long for many ticks.
            axes.locator_params(axis="x", nbins=4)
            axes.ticklabel_format(axis="x", style="sci", scilimits=(-2, 4))
            tidy(axes)
        low, high = row[0].get_ylim()
        row[0].set_ylim(max(low, -1.0), min(high, 101.0))
        row[0].set_ylabel(f"test accuracy, %, {title}", fontsize=8)
    for axes in panels[-1]:
        axes.set_xlabel("GOps per image")
    _legend(panels[0][-1], panels)
    bars = "bars: ± standard deviation over seeds" + ("; of means: over subsets" if len(subsets) > 1 else "")
    figure.suptitle(f"{name}: accuracy on subsets against inference cost ({bars})", x=0.01, ha="left", fontsize=11)
    return figure


def training_cost_figure(name: str, runs: Sequence[SubsetRun]) -> Any:
    """GOps and seconds of the training that each way takes, means over subsets, by level."""
    networks = _networks(runs)
    figure = new_figure(11, 2.9 * len(networks) + 0.6)
    panels = figure.subplots(len(networks), 2, squeeze=False, sharex=True)
    kinds: list[tuple[str, Value]] = [
        ("training GOps", lambda run: run.train_gops),
        ("training time, s", lambda run: run.seconds),
    ]
    for row, network in zip(panels, networks, strict=True):
        own = [run for run in runs if run.network == network and run.percent and run.subset != ALL]
        for axes, (title, value) in zip(row, kinds, strict=True):
            for way in _ways(own):
                levels = sorted({run.percent for run in own if run.way == way})
                found = [[c for c in cells(own) if (c.way, c.percent) == (way, level)] for level in levels]
                _line(axes, way, levels, [seed_means(each, value) for each in found])
            axes.set_yscale("log")
            for ticks in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
                ticks("{x:,.4g}")
            axes.tick_params(axis="y", which="minor", labelsize=7)
            axes.set_title(network, fontsize=10, loc="left")
            axes.set_ylabel(title)
            tidy(axes)
    for axes in panels[-1]:
        axes.set_xlabel("parameters removed, %")
    _legend(panels[0][-1], panels)
    figure.suptitle(f"{name}: what training takes (bars: ± standard deviation over subsets)", x=0.01, ha="left")
    return figure


def norms_figure(name: str, sets: Sequence[Removed]) -> Any:
    """How many filters have which mean absolute weight: fine-tuned on a subset, and after the cut; seeds together."""
    places = list(dict.fromkeys((each.network, each.classes) for each in sets if each.before is not None))
    levels = sorted({each.percent for each in sets})
    shown = levels if len(levels) <= 4 else [levels[round(place * (len(levels) - 1) / 3)] for place in range(4)]
    figure = new_figure(3.4 * len(shown) + 1.6, 2.6 * len(places) + 0.8)
    panels = figure.subplots(len(places), len(shown), squeeze=False, sharey="row", sharex="row")
    for row, (network, classes) in zip(panels, places, strict=True):
        for axes, percent in zip(row, shown, strict=True):
            own = [s for s in sets if (s.network, s.classes, s.percent) == (network, classes, percent)]
            _norms(axes, [each for each in own if each.before is not None])
            axes.set_title(f"{network}, {classes}, {percent} %", fontsize=9, loc="left")
            tidy(axes)
        row[0].set_ylabel("filters")
    for axes in panels[-1]:
        axes.set_xlabel("mean absolute weight (last bin: or more)", fontsize=9)
    legend_beside(panels[0][-1])
    figure.suptitle(f"{name}: norms of filters before and after the cut", x=0.01, ha="left")
    return figure


def channels_figure(name: str, differences: Sequence[Difference]) -> Any:
    """Channel difference by level, a panel for each network."""
    networks = list(dict.fromkeys(each.network for each in differences))
    kinds = list(dict.fromkeys(each.kind for each in differences))
    figure = new_figure(5.2 * len(networks) + 2.4, 4.2)
    panels = figure.subplots(1, len(networks), squeeze=False, sharey=True)[0]
    for axes, network in zip(panels, networks, strict=True):
        for number, kind in enumerate(kinds):
            own = [each for each in differences if (each.network, each.kind) == (network, kind)]
            means = [statistics.fmean(each.values) for each in own]
            spreads = [spread_of(each.values) or 0.0 for each in own]
            look = {"color": colour_of(number), "marker": marker_of(number), "markersize": 5, "linewidth": 1.4}
            axes.errorbar([each.percent for each in own], means, yerr=spreads, label=kind, capsize=3, **look)
        axes.set_title(network, fontsize=10, loc="left")
        axes.set_xlabel("parameters removed, %")
        axes.set_ylim(-0.03, 1.03)
        tidy(axes)
    panels[0].set_ylabel("channel difference (0: the same filters)")
    legend_beside(panels[-1])
    figure.suptitle(f"{name}: how unlike two cuts are, by what was fine-tuned on before", x=0.01, ha="left")
    return figure


def _accuracies(axes: Any, runs: Sequence[SubsetRun], value: Value, *, over_subsets: bool) -> None:
    for way in ("unpruned", *_ways(runs)):
        own = [cell for cell in cells(runs) if cell.way == way]
        points = []
        for percent in sorted({cell.percent for cell in own}):
            chosen = [cell for cell in own if cell.percent == percent]
            values = seed_means(chosen, value) if over_subsets else chosen[0].values(value)
            if values:
                points.append((_gops(chosen), values))
        _points(axes, way, points)


def _points(axes: Any, way: str, points: Sequence[tuple[float, list[float]]]) -> None:
    if not points:
        return
    places, means = [place for place, _ in points], [statistics.fmean(values) for _, values in points]
    spreads = [spread_of(values) or 0.0 for _, values in points]
    axes.errorbar(places, means, yerr=spreads, label=WAYS[way], capsize=3, **_look(way))


def _line(axes: Any, way: str, levels: Sequence[int], values: Sequence[Sequence[float]]) -> None:
    _points(axes, way, [(level, list(own)) for level, own in zip(levels, values, strict=True) if own])


def _norms(axes: Any, sets: Sequence[Removed]) -> None:
    """Seeds together, each counted as a part."""
    if not sets:
        return
    before = [filter_norms(each.before) for each in sets if each.before is not None]
    after = [filter_norms(each.after) for each in sets]
    everything = np.concatenate([*before, *after])
    # Depthwise filters and heads may be far above all others, which would then share one bin.
    edges = np.linspace(0.0, float(np.quantile(everything, 0.99)) or 1.0, _BINS + 1)
    for number, (label, found) in enumerate((("before the cut", before), ("after the cut", after))):
        counts = np.histogram(np.concatenate(found).clip(max=edges[-1]), edges)[0] / len(sets)
        axes.stairs(counts, edges, color=colour_of(number), label=label, fill=number == 1, alpha=1 - 0.4 * number)


def _look(way: str) -> dict[str, Any]:
    if way == "unpruned":
        return {"color": _UNPRUNED, "marker": "*", "markersize": 10, "linestyle": "none"}
    number = _LOOK[way]
    return {"color": colour_of(number), "marker": marker_of(number), "markersize": 5, "linewidth": 1.4}


def _legend(axes: Any, panels: Any) -> None:
    """Every way once, whichever panels have it."""
    found = {
        label: handle
        for row in panels
        for each in row
        for handle, label in zip(*each.get_legend_handles_labels(), strict=True)
    }
    axes.legend(found.values(), found.keys(), fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))


def _gops(chosen: Sequence[Cell]) -> float:
    return statistics.fmean(run.gops for cell in chosen for run in cell.runs)


def _ways(runs: Sequence[SubsetRun]) -> list[str]:
    return [way for way in _LOOK if any(run.way == way for run in runs)]


def _networks(runs: Sequence[SubsetRun]) -> list[str]:
    return list(dict.fromkeys(run.network for run in runs))


def _subsets(runs: Sequence[SubsetRun]) -> list[str]:
    """Those that a network was cut for."""
    return list(dict.fromkeys(run.subset for run in runs if run.way in ("aware", "retrained") and run.subset != ALL))
