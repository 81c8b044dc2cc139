"""Pruning in levels: accuracy, UnitMem and costs, level by level."""

import statistics
from collections.abc import Callable, Sequence

from secateurs.reporting._levels import Level, LevelRun, by_method, layers_of, level_runs, levels_at
from secateurs.reporting._spread import spread_of, with_spread
from secateurs.reporting.html._markup import Child, tag
from secateurs.reporting.html._numbers import short
from secateurs.reporting.html._tables import Cell, Column, table
from secateurs.reporting.html._views import Group
from secateurs.reporting.html._xy import Chart, Series, chart

__all__ = ["levels_view"]


def levels_view(group: Group) -> Child:
    """Charts by method, a table by method and level, and UnitMem by layer; None where no run has levels."""
    runs = level_runs([(view.variant, view.record) for view in group.views if view.stages])
    runs = [run for run in runs if run.levels]
    if not runs:
        return None
    merit = runs[0].merit
    kinds: list[tuple[str, str, Callable[[Level], float | None]]] = [
        (f"Right after the cut of each level: {merit.word}", f"test {merit.title}", lambda level: level.after),
        (f"After the training of each level: {merit.word}", f"test {merit.title}", lambda level: level.retrained),
        ("UnitMem of the units that each level found", "mean UnitMem", lambda level: level.unitmem),
    ]
    drawn = [chart(_chart(group, runs, *kind)) for kind in kinds]
    return [tag("h3", "Level by level"), tag("div", drawn, class_="charts"), _table(runs), _by_layer(runs)]


def _chart(
    group: Group, runs: Sequence[LevelRun], title: str, y_title: str, value: Callable[[Level], float | None]
) -> Chart:
    names = list(dict.fromkeys(group.methods.values()))
    series = []
    for number, (method, own) in enumerate(by_method(runs).items()):
        known = group.methods.get(method, method)
        look = names.index(known) if known in names else number
        places, means, band = _points(own, value)
        series.append(
            Series(name=known, label=method, look=look, line=list(zip(places, means, strict=True)), band=band)
        )
    return Chart(title=title, x_title="units removed, %", y_title=y_title, series=series)


def _points(
    own: Sequence[LevelRun], value: Callable[[Level], float | None]
) -> tuple[list[float], list[float], list[tuple[float, float, float]]]:
    places, means, band = [], [], []
    for number in range(max(len(run.levels) for run in own)):
        levels = levels_at(own, number)
        values = [found for level in levels if (found := value(level)) is not None]
        if values:
            place, mean, spread = (
                statistics.fmean(level.place for level in levels),
                statistics.fmean(values),
                spread_of(values),
            )
            places.append(place)
            means.append(mean)
            band += [] if spread is None else [(place, mean - spread, mean + spread)]
    return places, means, band


def _table(runs: Sequence[LevelRun]) -> Child:
    titles = ("level", "runs", "removed, %", "before", "after the cut", "trained on", "parameters", "MACs", "UnitMem")
    columns = [Column(title="method", numeric=False), *(Column(title=title) for title in titles)]
    rows = []
    for method, own in by_method(runs).items():
        for number in range(max(len(run.levels) for run in own)):
            levels = levels_at(own, number)
            kinds: list[Callable[[Level], float | None]] = [lambda level: level.before, lambda level: level.after]
            kinds += [lambda level: level.retrained]
            rows.append(
                [
                    Cell(shown=method),
                    Cell(shown=str(number), sort=number),
                    Cell(shown=str(len(levels)), sort=len(levels)),
                    _mean([level.sparsity for level in levels], 1),
                    *(_mean([x for level in levels if (x := kind(level)) is not None], 2) for kind in kinds),
                    *(_count([getattr(level, key) for level in levels]) for key in ("params", "macs")),
                    _mean([level.unitmem for level in levels if level.unitmem is not None], 3),
                ]
            )
    return table("Levels", columns, rows)


def _by_layer(runs: Sequence[LevelRun]) -> Child:
    """A row for each layer, a column for each method: UnitMem before the first level and before the last."""
    columns, layers = [Column(title="layer", numeric=False)], layers_of(runs)
    found: list[dict[str, list[float]]] = []
    for method, own in by_method(runs).items():
        deepest = min(len(run.levels) for run in own) - 1
        for number in sorted({0, deepest}):
            columns.append(Column(title=f"{method}, level {number}"))
            levels = levels_at(own, number)
            found.append(
                {layer: [each.by_layer[layer] for each in levels if layer in each.by_layer] for layer in layers}
            )
    if not any(values for each in found for values in each.values()):
        return None
    rows = [[Cell(shown=layer), *(_mean(each[layer], 3) for each in found)] for layer in layers]
    return [tag("h4", "Mean UnitMem by layer"), table("Mean UnitMem by layer", columns, rows)]


def _mean(values: Sequence[float], digits: int) -> Cell:
    if not values:
        return Cell(shown="-")
    return Cell(shown=with_spread(statistics.fmean(values), spread_of(values), digits), sort=statistics.fmean(values))


def _count(values: Sequence[float]) -> Cell:
    return Cell(shown=short(statistics.fmean(values)), sort=statistics.fmean(values))
