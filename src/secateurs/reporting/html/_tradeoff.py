"""How good networks are against what they cost: methods over budgets, seeds as bands, and the Pareto front."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from secateurs.reporting._merit import Merit
from secateurs.reporting._spread import spread_of
from secateurs.reporting.html._course import course_of
from secateurs.reporting.html._markup import Markup, tag
from secateurs.reporting.html._numbers import finite, short
from secateurs.reporting.html._views import Group, View, figure_of
from secateurs.reporting.html._xy import Chart, Point, Series, chart

__all__ = ["pareto", "tradeoff_charts"]


@dataclass(frozen=True, kw_only=True)
class _Kind:
    title: str
    x_title: str
    unit: str
    value: Callable[[View, str], float | None]
    key: str | None = None
    scale: float = 1.0


def _training_gops(view: View, side: str) -> float | None:
    """Of all trainings of the run, where it has counted them."""
    if side == "before":
        return None
    counted = [stage["results"]["gops"] for stage in view.stages if isinstance(stage["results"].get("gops"), dict)]
    epochs = [finite(stage["results"].get("epochs")) or 0.0 for stage in view.stages]
    sides = (
        [(counted[-1].get(name) or {}).get("training_gops", {}).get("epoch", 0.0) for name in ("unpruned", "pruned")]
        if counted
        else []
    )
    if not sides or not any(epochs):
        return None
    cut = next((place for place, stage in enumerate(view.stages) if "axes" in stage["results"]), len(epochs))
    return sides[0] * sum(epochs[:cut]) + sides[1] * sum(epochs[cut:]) or None


def _gops(view: View, side: str) -> float | None:
    macs = figure_of(view, side, "macs")
    return None if macs is None else 2e-9 * macs


_KINDS = (
    _Kind(
        title="Multiply-adds",
        x_title="MACs per image",
        unit="MACs",
        key="macs",
        value=lambda v, s: figure_of(v, s, "macs"),
    ),
    _Kind(
        title="Parameters",
        x_title="parameters",
        unit="parameters",
        key="params",
        value=lambda v, s: figure_of(v, s, "params"),
    ),
    _Kind(
        title="Latency", x_title="latency, ms, batch of 1", unit="ms", value=lambda v, s: figure_of(v, s, "latency_ms")
    ),
    _Kind(title="Operations", x_title="GOps per image, 2 per MAC", unit="GOps", key="macs", scale=2e-9, value=_gops),
    _Kind(title="Operations of training", x_title="training GOps of the run", unit="GOps", value=_training_gops),
)


@dataclass(frozen=True, kw_only=True)
class _Place:
    """All seeds of a variant."""

    variant: str
    x: float
    values: tuple[float, ...]

    @property
    def y(self) -> float:
        return statistics.fmean(self.values)


def tradeoff_charts(group: Group) -> Markup:
    """One chart for each cost that the group's runs know."""
    drawn = [chart(made) for kind in _KINDS if (made := _chart(group, kind)) is not None]
    return tag("div", drawn, class_="charts") if drawn else Markup("")


def pareto(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those that no other beats: (cost, merit) with rising merit, the cheapest first."""
    front: list[tuple[float, float]] = []
    for x, y in sorted(places, key=lambda place: (place[0], -place[1])):
        if not front or y > front[-1][1]:
            front.append((x, y))
    return front


def _chart(group: Group, kind: _Kind) -> Chart | None:
    merit = group.merit
    methods = list(dict.fromkeys(group.methods.values()))
    series, everything = [], list[tuple[float, float]]()
    for number, method in enumerate(methods):
        places = _places(group, kind, method)
        if places:
            series.append(_series(method, number, places, kind, merit))
            everything += [(place.x, place.y) for place in places]
    if not everything:
        return None
    alone = group.done[0] if len(group.done) == 1 else None
    course = None if alone is None or kind.key is None else course_of(alone, merit, kind.key, kind.scale, kind.unit)
    dense = _dense(group, kind)
    everything += [(point.x, point.y) for point in dense]
    front = Series(name="Pareto front", line=pareto(everything), step=True, label="Pareto front")
    before = Series(name="before", points=dense)
    xs = [x for x, _ in everything]
    scale: Literal["linear", "log"] = "log" if min(xs) > 0 and max(xs) / min(xs) > 8 else "linear"
    if course is not None:
        series.insert(0, course)
    best = max(y for _, y in everything)
    # What has fallen apart would hide the differences of the others.
    bottom = None if course is not None else best - 5 * merit.shown_below(best)
    return Chart(
        title=f"{merit.word[:1].upper() + merit.word[1:]} against {kind.title.lower()}",
        x_title=kind.x_title,
        y_title=f"test {merit.title}",
        series=[*([front] if course is None else []), before, *series],
        scale=scale,
        bottom=bottom,
        top=100.0 if merit.scale == 100 and best <= 100 else None,
    )


def _series(method: str, number: int, places: Sequence[_Place], kind: _Kind, merit: Merit) -> Series:
    """A line over the method's budgets with a band of one standard deviation; each seed as a faint point."""
    line = [(place.x, place.y) for place in places]
    spreads = [spread_of(place.values) or 0.0 for place in places]
    band = [(x, y - spread, y + spread) for (x, y), spread in zip(line, spreads, strict=True)]
    points = [
        Point(
            x=place.x,
            y=place.y,
            low=place.y - spread if spread else None,
            high=place.y + spread if spread else None,
            tip=_tip(place, spread, kind, merit),
        )
        for place, spread in zip(places, spreads, strict=True)
    ]
    several = len(places) > 1
    return Series(
        name=method,
        look=number,
        line=line if several else (),
        band=band if several and any(spreads) else (),
        points=points,
    )


def _tip(place: _Place, spread: float, kind: _Kind, merit: Merit) -> str:
    seeds = len(place.values)
    of = f" ± {spread:.2f} over {seeds} runs" if seeds > 1 else ""
    return f"{place.variant}\n{merit.word} {place.y:.2f}{of}\n{short(place.x)} {kind.unit}"


def _places(group: Group, kind: _Kind, method: str) -> list[_Place]:
    found = []
    for variant in group.variants:
        if group.methods[variant] == method:
            known = [
                (cost, group.merit.scale * good)
                for view in group.of(variant)
                if (cost := kind.value(view, "after")) is not None
                and (good := figure_of(view, "after", group.merit.test)) is not None
            ]
            if known:
                costs, values = zip(*known, strict=True)
                found.append(_Place(variant=variant, x=statistics.fmean(costs), values=tuple(values)))
    return sorted(found, key=lambda place: place.x)


def _dense(group: Group, kind: _Kind) -> list[Point]:
    """Networks before their first cut, one for each cost: the same for most variants."""
    found: dict[float, list[float]] = {}
    for view in group.done:
        cost, good = kind.value(view, "before"), figure_of(view, "before", group.merit.test)
        if cost is not None and good is not None:
            # Measured times are never equal.
            found.setdefault(0.0 if kind.unit == "ms" else cost, []).append(group.merit.scale * good)
    costs = [cost for view in group.done if (cost := kind.value(view, "before")) is not None]
    return [
        Point(
            x=statistics.median(costs) if kind.unit == "ms" else cost,
            y=statistics.fmean(values),
            tip=f"before the first cut, mean of {len(values)} runs: {statistics.fmean(values):.2f}\n"
            f"{short(statistics.median(costs) if kind.unit == 'ms' else cost)} {kind.unit}",
        )
        for cost, values in found.items()
    ]
