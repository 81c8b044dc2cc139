"""Training curves with the cuts marked: of a run, and of the variants of a group."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from secateurs.reporting._merit import ACCURACY, Merit
from secateurs.reporting.html._markup import Markup, tag
from secateurs.reporting.html._numbers import finite
from secateurs.reporting.html._views import Group, View
from secateurs.reporting.html._xy import Chart, Rule, Series, chart

__all__ = ["cuts_of", "group_curves", "run_curves"]

_MOST = 300
"""Points of a curve that a page shows; more are thinned out evenly."""
_SOURCES = (("train", 0), ("validation", 1))


def run_curves(view: View, merit: Merit) -> Markup:
    """Loss, and accuracy where there are classes, by epoch over all stages."""
    epochs, rules = view.record.epochs, [Rule(x=place, label=label) for place, label in cuts_of(view)]
    if not epochs:
        return Markup("")
    charts = []
    if merit is ACCURACY and any(finite(row.get("train_accuracy")) is not None for row in epochs):
        charts.append(_chart("Accuracy by epoch", "accuracy, %", epochs, "accuracy", 100.0, rules))
    charts.append(_chart("Loss by epoch", "loss", epochs, "loss", 1.0, rules))
    drawn = [chart(each) for each in charts]
    names = [tag("span", tag("span", class_=f"swatch line c{look}"), name) for name, look in _SOURCES]
    return tag("div", tag("p", names, class_="key"), tag("div", drawn, class_="charts")) if any(drawn) else Markup("")


def group_curves(group: Group) -> Markup:
    """Means over seeds by epoch, with bands from the least to the largest: validation, or training without it."""
    source = "validation" if all(_values(view, group.merit, "validation") for view in group.done) else "train"
    methods, series, rules = list(dict.fromkeys(group.methods.values())), [], dict[float, Rule]()
    for variant in group.variants:
        views = group.of(variant)
        curves = [curve for view in views if (curve := _values(view, group.merit, source))]
        if not curves:
            continue
        look = methods.index(group.methods[variant])
        columns = list(zip(*curves, strict=False))
        thin = _thinned(len(columns))
        line = [(place + 1.0, statistics.fmean(columns[place])) for place in thin]
        band = [(place + 1.0, min(columns[place]), max(columns[place])) for place in thin] if len(curves) > 1 else []
        series.append(Series(name=group.methods[variant], label=variant, look=look, line=line, band=band))
        rules |= {place: Rule(x=place) for place, _ in cuts_of(views[0])}
    if not series:
        return Markup("")
    best = max(y for each in series for _, y in each.line)
    made = Chart(
        title=f"{source.capitalize()} {group.merit.word} by epoch",
        x_title="epoch (dashed: a cut)",
        y_title=group.merit.title,
        series=series,
        rules=list(rules.values()) if len(rules) <= 40 else (),
        bottom=best - 4 * group.merit.shown_below(best),
        whole=True,
    )
    return tag("div", chart(made), class_="charts")


def cuts_of(view: View) -> list[tuple[float, str]]:
    """(place between two epochs, what went) of every cut that removed something."""
    lengths: dict[str, int] = {}
    for row in view.record.epochs:
        lengths[row["stage"]] = lengths.get(row["stage"], 0) + 1
    place, found = 0, []
    for stage in view.stages:
        place += lengths.get(stage.get("name", ""), 0)
        label = _cut(stage["results"])
        if label is not None:
            found.append((place + 0.5, label))
    return found


def _cut(results: Mapping[str, Any]) -> str | None:
    if "target_sparsity" in results:
        return f"level {results.get('level')}: {finite(results.get('sparsity')) or 0:.0f} % gone"
    removed = results.get("removed")
    if isinstance(removed, dict) and "axes" in results:
        asked = results.get("asked") or {"params": 0}
        told = {name: finite(removed.get(name)) for name in asked}
        return "cut " + ", ".join(f"{100 * ratio:.0f} % of {name}" for name, ratio in told.items() if ratio is not None)
    return "mask" if "mask" in results else None


def _chart(
    title: str, y_title: str, epochs: Sequence[Mapping[str, Any]], kind: str, scale: float, rules: Sequence[Rule]
) -> Chart:
    series = []
    for source, look in _SOURCES:
        for stage in dict.fromkeys(row["stage"] for row in epochs):
            # One line for each stage, so that none runs across a cut.
            found = [
                (number, scale * value)
                for number, row in enumerate(epochs, start=1)
                if row["stage"] == stage and (value := finite(row.get(f"{source}_{kind}"))) is not None
            ]
            line = [found[place] for place in _thinned(len(found))]
            series.append(Series(name=source, label=f"{source}, {stage}", look=look, line=line))
    top = _most(series) if kind == "loss" else None
    return Chart(title=title, x_title="epoch", y_title=y_title, series=series, rules=rules, top=top, whole=True)


def _most(series: Sequence[Series]) -> float | None:
    """A loss that has run away for an epoch would flatten all others."""
    values = sorted(y for each in series for _, y in each.line)
    if len(values) < 10:
        return None
    usual = values[round(0.95 * (len(values) - 1))]
    return 3 * usual if values[-1] > 10 * usual > 0 else None


def _values(view: View, merit: Merit, source: str) -> list[float]:
    """What people read of the merit, of all epochs; empty where one has none."""
    found = [finite(row.get(f"{source}_{merit.epoch_key}")) for row in view.record.epochs]
    known = [merit.scale * merit.sign * value for value in found if value is not None]
    return known if len(known) == len(found) else []


def _thinned(count: int) -> list[int]:
    if count <= _MOST:
        return list(range(count))
    return sorted({round(place * (count - 1) / (_MOST - 1)) for place in range(_MOST)})
