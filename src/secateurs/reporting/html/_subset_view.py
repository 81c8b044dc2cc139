"""Pruning for a subset of the classes: accuracy on it, by how each network came to be."""

import statistics
from collections.abc import Sequence

from secateurs.reporting._spread import mean_spread, spread_of
from secateurs.reporting._subset_pairs import Cell as Place
from secateurs.reporting._subset_pairs import cells
from secateurs.reporting._subset_runs import WAYS, SubsetRun, compares, subset_runs
from secateurs.reporting.html._markup import Child, tag
from secateurs.reporting.html._numbers import seconds_text, short
from secateurs.reporting.html._tables import Cell, Column, table
from secateurs.reporting.html._views import Group
from secateurs.reporting.html._xy import Chart, Point, Series, chart, look_of

__all__ = ["subset_view"]

_LOOKS = {way: number for number, way in enumerate(("aware", "agnostic", "agnostic_steps", "retrained", "fine_tuned"))}
"""The colours of pictures of subsets."""


def subset_view(group: Group) -> Child:
    """A chart for each network and subset, and a table; None where nothing was cut for a subset."""
    runs = subset_runs([view.record for view in group.views if view.finished])
    if not compares(runs):
        return None
    wanted = {run.subset for run in runs if run.way in ("aware", "retrained")}
    pairs = list(dict.fromkeys((run.network, run.subset) for run in runs if run.subset in wanted))
    drawn = [chart(_chart(runs, network, subset)) for network, subset in pairs[:24]]
    ways = [way for way in WAYS if any(run.way == way for run in runs)]
    key = [tag("span", tag("span", class_=f"swatch {look_of(_LOOKS.get(way))}"), WAYS[way]) for way in ways]
    return [
        tag("h3", "Subsets of the classes"),
        tag("p", key, class_="key"),
        tag("div", drawn, class_="charts"),
        _table(cells(runs)),
    ]


def _chart(runs: Sequence[SubsetRun], network: str, subset: str) -> Chart:
    own = [run for run in runs if (run.network, run.subset) == (network, subset)]
    series = []
    for way in dict.fromkeys(run.way for run in own):
        places = sorted((each for each in cells(own) if each.way == way), key=_gops)
        points = [_point(each) for each in places]
        line = [(point.x, point.y) for point in points] if len(points) > 1 else []
        series.append(Series(name=way, look=_LOOKS.get(way), line=line, points=points))
    return Chart(title=f"{network} on {subset}", x_title="GOps per image", y_title="test accuracy, %", series=series)


def _point(place: Place) -> Point:
    values = [run.accuracy for run in place.runs]
    mean, spread, gops = statistics.fmean(values), spread_of(values) or 0.0, _gops(place)
    tip = (
        f"{WAYS[place.way]}\n{place.percent} % of parameters removed\naccuracy {mean_spread(values)} %\n{gops:.4g} GOps"
    )
    return Point(x=gops, y=mean, low=mean - spread, high=mean + spread, tip=tip)


def _table(places: Sequence[Place]) -> Child:
    titles = (
        "removed, %",
        "runs",
        "accuracy, %",
        "among the subset's, %",
        "GOps per image",
        "MB",
        "training GOps",
        "time",
    )
    columns = [Column(title=title, numeric=False) for title in ("network", "subset", "way")]
    columns += [Column(title=title) for title in titles]
    rows = []
    for place in places:
        accuracy, among = ([run.accuracy for run in place.runs], place.values(lambda run: run.among))
        trained = place.values(lambda run: run.train_gops)
        seconds = statistics.fmean(run.seconds for run in place.runs)
        mb = statistics.fmean(run.mb for run in place.runs)
        rows.append(
            [
                Cell(shown=place.network),
                Cell(shown=place.subset),
                Cell(shown=place.way, tip=WAYS[place.way]),
                Cell(shown=str(place.percent), sort=place.percent),
                Cell(shown=str(len(place.runs)), sort=len(place.runs)),
                Cell(shown=mean_spread(accuracy), sort=statistics.fmean(accuracy)),
                Cell(shown=mean_spread(among), sort=statistics.fmean(among) if among else None),
                Cell(shown=f"{_gops(place):.4g}", sort=_gops(place)),
                Cell(shown=f"{mb:.3g}", sort=mb),
                Cell(
                    shown=short(statistics.fmean(trained)) if trained else "-",
                    sort=statistics.fmean(trained) if trained else None,
                ),
                Cell(shown=seconds_text(seconds), sort=seconds),
            ]
        )
    return table("Networks on subsets of the classes", columns, rows)


def _gops(place: Place) -> float:
    return statistics.fmean(run.gops for run in place.runs)
