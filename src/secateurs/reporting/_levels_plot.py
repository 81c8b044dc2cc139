"""Methods of pruning in levels, side by side."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from secateurs.reporting._figure import colour_of, legend_beside, marker_of, new_figure, tidy
from secateurs.reporting._levels import Level, LevelRuns, by_method, levels_at
from secateurs.reporting._merit import Merit
from secateurs.reporting._spread import spread_of

__all__ = ["accuracy_figure", "unitmem_figure"]

_Point = tuple[float, list[float]]
"""Percent of the units removed, and what the runs of a method have there."""


def accuracy_figure(name: str, runs: LevelRuns) -> Any:
    """How good networks are against the units removed: right after each cut, and after the training behind it."""
    figure = new_figure(11, 4.6)
    left, right = figure.subplots(1, 2, sharex=True)
    merit, groups = runs[0].merit, by_method(runs)
    for number, (method, group) in enumerate(groups.items()):
        dense: list[_Point] = [(0.0, [run.levels[0].before for run in group])]
        _curve(left, number, method, dense + _points(group, lambda level: level.after))
        _curve(right, number, method, dense + _points(group, lambda level: level.retrained))
    for axes, title in ((left, "right after the cut"), (right, "after training")):
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_ylabel(f"test {merit.title}")
        axes.set_xlabel(_gone(runs))
        axes.set_xlim(left=0)
        _within(axes, merit)
        tidy(axes)
    legend_beside(right)
    figure.suptitle(f"{name}: networks that lose units level by level{_spreads(runs)}", x=0.01, ha="left")
    return figure


def unitmem_figure(name: str, runs: LevelRuns) -> Any:
    """Mean UnitMem of the units that are left, against the units removed."""
    figure = new_figure(8, 4.5)
    axes = figure.subplots()
    for number, (method, group) in enumerate(by_method(runs).items()):
        points = _points(group, lambda level: level.unitmem)
        # It is measured before the level removes anything: where the level before ended.
        places = [0.0, *(place for place, _ in _points(group, lambda level: level.after))]
        found = [(place, values) for place, (_, values) in zip(places, points, strict=False)]
        if found:
            _curve(axes, number, method, found)
    axes.set_ylabel("mean UnitMem of the units left")
    axes.set_xlabel(_gone(runs))
    axes.set_xlim(left=0)
    tidy(axes)
    legend_beside(axes)
    figure.suptitle(f"{name}: memorisation, level by level{_spreads(runs)}", x=0.01, ha="left")
    return figure


def _points(group: LevelRuns, value: Callable[[Level], float | None]) -> list[_Point]:
    """One for each level that any run of the method has reached."""
    points: list[_Point] = []
    for number in range(max(len(run.levels) for run in group)):
        levels = [level for level in levels_at(group, number) if value(level) is not None]
        values = [found for found in map(value, levels) if found is not None]
        if values:
            points.append((statistics.fmean(level.place for level in levels), values))
    return points


def _curve(axes: Any, number: int, label: str, points: Sequence[_Point]) -> None:
    """Means, with a band of one standard deviation to each side; methods also differ in their markers."""
    places = [place for place, _ in points]
    means = [statistics.fmean(values) for _, values in points]
    spreads = [spread_of(values) or 0.0 for _, values in points]
    colour, marker = colour_of(number), marker_of(number)
    axes.plot(places, means, color=colour, label=label, linewidth=1.6, marker=marker, markersize=4)
    if any(spreads):
        low, high = ([mean + sign * spread for mean, spread in zip(means, spreads, strict=True)] for sign in (-1, 1))
        axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)


def _within(axes: Any, merit: Merit) -> None:
    """Bands may go further than percentages do."""
    if merit.scale == 100:
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, -1), min(high, 101))


def _gone(runs: LevelRuns) -> str:
    kinds = {level.of_weights for run in runs for level in run.levels}
    return "units removed, %" + (" (for weights: units with as many weights)" if True in kinds else "")


def _spreads(runs: LevelRuns) -> str:
    several = any(len(group) > 1 for group in by_method(runs).values())
    return " (mean ± standard deviation over seeds)" if several else ""
