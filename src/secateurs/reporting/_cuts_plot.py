"""Cuts during training as a picture."""

import statistics
from collections.abc import Sequence
from typing import Any

from secateurs.reporting._cuts import CutRun, by_variant
from secateurs.reporting._figure import GREY, colour_of, legend_beside, new_figure, tidy
from secateurs.reporting._merit import Merit
from secateurs.reporting._record import RunRecord

__all__ = ["cuts_figure"]


def cuts_figure(study: RunRecord, runs: Sequence[CutRun]) -> Any:
    """Over real epochs, means over seeds: how good networks are after every epoch, and around every cut."""
    figure = new_figure(9, 7)
    above, below = figure.subplots(2, 1, sharex=True)
    source = "validation" if all(run.validation for run in runs) else "train"
    merit, groups = runs[0].merit, by_variant(runs)
    for number, (variant, group) in enumerate(groups.items()):
        colour = colour_of(number)
        curves = [getattr(run, source) for run in group]
        epochs = range(1, len(curves[0]) + 1)
        means = [statistics.fmean(values) for values in zip(*curves, strict=False)]
        above.plot(epochs[: len(means)], means, color=colour, label=variant, linewidth=1.6)
        if len(curves) > 1:
            ranges = [(min(values), max(values)) for values in zip(*curves, strict=False)]
            above.fill_between(epochs[: len(means)], *zip(*ranges, strict=True), color=colour, alpha=0.15, linewidth=0)
        _around_cuts(below, group, colour)
    # Curves to where they differ, dips to their ground.
    for axes, title, depth in ((above, f"{source} {merit.title}", 1), (below, f"test {merit.title}", 10)):
        for epoch in sorted({cut.epoch for run in runs for cut in run.cuts}):
            # After the last epoch that the network of before has trained.
            axes.axvline(epoch, color=GREY, linestyle="--", linewidth=0.8, zorder=0)
        _dress(axes, title, merit, depth)
    below.set_xlabel("epoch (dashed: a cut)")
    legend_beside(above)
    figure.suptitle(f"{study.name}: {merit.title.partition(',')[0]} while units are removed", x=0.01, ha="left")
    return figure


def _around_cuts(axes: Any, group: Sequence[CutRun], colour: str) -> None:
    """A line down at every cut and up to the end of the training after it."""
    last = len(group[0].train)
    count = min(len(run.cuts) for run in group)
    points = []
    for number in range(count):
        cuts = [run.cuts[number] for run in group]
        points += [(cuts[0].epoch, [cut.before for cut in cuts]), (cuts[0].epoch, [cut.after for cut in cuts])]
    points.append((last, [run.test for run in group]))
    means = [statistics.fmean(values) for _, values in points]
    axes.plot([epoch for epoch, _ in points], means, color=colour, marker="o", markersize=3, linewidth=1.4)


def _dress(axes: Any, title: str, merit: Merit, depth: float) -> None:
    best = max(max(line.get_ydata()) for line in axes.lines if line.get_linestyle() == "-")
    lowest = min(min(line.get_ydata()) for line in axes.lines if line.get_linestyle() == "-")
    # A network that falls apart would hide the others.
    shown = depth * merit.shown_below(best)
    axes.set_ylim(max(lowest - 0.04 * shown, best - shown), best + 0.04 * shown)
    axes.set_ylabel(title)
    tidy(axes)
