"""Charts of one quantity against another, as SVG that follows the page's colours."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from secateurs.reporting._colours import PALETTE
from secateurs.reporting.html._markup import Markup, tag
from secateurs.reporting.html._numbers import log_ticks, plain, short, spans, ticks
from secateurs.reporting.html._symbols import symbol

__all__ = ["Chart", "Point", "Rule", "Series", "chart", "look_of"]

WIDTH, HEIGHT = 460, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 14, 42
_BESIDE = 7
_DASHES = (None, "6 3", "2 3", "8 3 2 3")


@dataclass(frozen=True, kw_only=True)
class Point:
    """A place with a mark that can be pointed at.

    Attributes:
        low: where its vertical bar begins; None without one.
        high: where it ends.
        tip: what pointing at it says.
    """

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    tip: str


@dataclass(frozen=True, kw_only=True)
class Series:
    """What belongs together, in the colour of its method.

    Attributes:
        name: the method's, by which the legend of the page hides it.
        look: number of its colour and marker; None for the grey of what is no method.
        line: vertices of a line, in order.
        band: (x, low, high) around it.
        points: marks.
        faint: behind the others.
        step: the line goes in steps.
        label: what pointing at the line says before its values.
    """

    name: str
    look: int | None = None
    line: Sequence[tuple[float, float]] = ()
    band: Sequence[tuple[float, float, float]] = ()
    points: Sequence[Point] = ()
    faint: bool = False
    step: bool = False
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A vertical line with a word on it."""

    x: float
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One chart.

    Attributes:
        bottom: what is shown of y at least from here; points below are clipped at the frame.
        top: the same above.
        whole: x counts something.
    """

    title: str
    x_title: str
    y_title: str
    series: Sequence[Series]
    rules: Sequence[Rule] = ()
    scale: Literal["linear", "log"] = "linear"
    bottom: float | None = None
    top: float | None = None
    whole: bool = False


@dataclass(frozen=True, kw_only=True)
class _Frame:
    x: tuple[float, float]
    y: tuple[float, float]
    log: bool

    def at(self, x: float, y: float) -> tuple[float, float]:
        low, high = (math.log(each) for each in self.x) if self.log else self.x
        place = ((math.log(x) if self.log else x) - low) / (high - low)
        rise = (y - self.y[0]) / (self.y[1] - self.y[0])
        return _LEFT + place * (WIDTH - _LEFT - _RIGHT), HEIGHT - _BOTTOM - rise * (HEIGHT - _TOP - _BOTTOM)


def look_of(number: int | None) -> str:
    """The class that gives a series its colour."""
    return "grey" if number is None else f"c{number % len(PALETTE)}"


def chart(made: Chart) -> Markup:
    """A figure with a title; empty where there is nothing to draw."""
    frame = _frame(made)
    if frame is None:
        return Markup("")
    moved = _aside(made, frame)
    inner = [_grid(made, frame), _rules(made, frame), *(_series(each, frame, moved) for each in made.series)]
    label = f"{made.title}. {made.y_title} against {made.x_title}."
    data = " ".join(
        map(repr, (*frame.x, *frame.y, _LEFT, WIDTH - _RIGHT, HEIGHT - _BOTTOM, _TOP, int(frame.log), int(made.whole)))
    )
    picture = tag(
        "svg",
        inner,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=label,
        class_="plot",
        data_frame=data,
        data_x=made.x_title,
        data_y=made.y_title,
    )
    return tag("figure", tag("figcaption", made.title), picture, class_="chart")


def _frame(made: Chart) -> _Frame | None:
    xs = [x for each in made.series for x in _xs(each)] + [rule.x for rule in made.rules]
    ys = [y for each in made.series for y in _ys(each)]
    log = made.scale == "log"
    if log:
        xs = [x for x in xs if x > 0]
    if not xs or not ys:
        return None
    low, high = spans(ys, 0.06)
    low, high = _cut(low, high, made.bottom, made.top)
    if log:
        ends = spans([math.log(x) for x in xs], 0.06)
        return _Frame(x=(math.exp(ends[0]), math.exp(ends[1])), y=(low, high), log=True)
    left, right = spans(xs, 0.04)
    # What is counted from nothing begins there.
    return _Frame(x=(0.0 if min(xs) >= 0 > left else left, right), y=(low, high), log=False)


def _cut(low: float, high: float, bottom: float | None, top: float | None) -> tuple[float, float]:
    low = low if bottom is None else max(low, bottom)
    high = high if top is None else min(high, top)
    return (low, high) if high > low else (low - 1, high + 1)


def _xs(series: Series) -> list[float]:
    return [x for x, _ in series.line] + [x for x, _, _ in series.band] + [point.x for point in series.points]


def _ys(series: Series) -> list[float]:
    found = [y for _, y in series.line] + [y for _, *ends in series.band for y in ends]
    for point in series.points:
        found += [y for y in (point.y, point.low, point.high) if y is not None]
    return found


def _grid(made: Chart, frame: _Frame) -> list[Markup]:
    left, right, bottom = _LEFT, WIDTH - _RIGHT, HEIGHT - _BOTTOM
    drawn = []
    for y in ticks(*frame.y, 5):
        place = plain(frame.at(frame.x[0], y)[1])
        drawn.append(tag("line", x1=left, x2=right, y1=place, y2=place, class_="grid"))
        drawn.append(tag("text", _tick(y), x=left - 6, y=place, dy="0.32em", class_="tick end"))
    marks = log_ticks(*frame.x) if frame.log else ticks(*frame.x, 5)
    for x in [x for x in marks if not made.whole or x == int(x)]:
        place = plain(frame.at(x, frame.y[0])[0])
        drawn.append(tag("line", x1=place, x2=place, y1=bottom, y2=bottom + 4, class_="axis"))
        drawn.append(tag("text", _tick(x), x=place, y=bottom + 17, class_="tick middle"))
    drawn.append(tag("line", x1=left, x2=right, y1=bottom, y2=bottom, class_="axis"))
    drawn.append(tag("text", made.x_title, x=(left + right) / 2, y=HEIGHT - 7, class_="title middle"))
    middle = (_TOP + bottom) / 2
    turned = f"rotate(-90 12 {plain(middle)})"
    drawn.append(tag("text", made.y_title, x=12, y=plain(middle), transform=turned, class_="title middle"))
    return drawn


def _tick(value: float) -> str:
    return short(value) if abs(value) >= 10_000 else f"{value:.6g}"


def _rules(made: Chart, frame: _Frame) -> list[Markup]:
    """Words stand on their line, and give way where lines stand close together."""
    drawn, last = [], -math.inf
    for rule in sorted(made.rules, key=lambda rule: rule.x):
        place = frame.at(rule.x, frame.y[0])[0]
        drawn.append(
            tag(
                "line",
                x1=plain(place),
                x2=plain(place),
                y1=_TOP,
                y2=HEIGHT - _BOTTOM,
                class_="rule",
                data_tip=rule.label,
            )
        )
        if rule.label and place - last > 13:
            turned = f"rotate(-90 {plain(place + 10)} {_TOP + 2})"
            drawn.append(
                tag("text", rule.label, x=plain(place + 10), y=_TOP + 2, transform=turned, class_="tick end word")
            )
            last = place
    return drawn


def _aside(made: Chart, frame: _Frame) -> dict[int, float]:
    """Marks of methods that cost the same stand side by side around their place: so many pixels aside each."""
    columns: dict[int, list[int]] = {}
    for series in made.series:
        for point in series.points:
            if series.look is not None and (not frame.log or point.x > 0):
                columns.setdefault(round(frame.at(point.x, frame.y[0])[0]), []).append(id(point))
    return {
        point: _BESIDE * (place - (len(column) - 1) / 2)
        for column in columns.values()
        for place, point in enumerate(column)
    }


def _series(series: Series, frame: _Frame, moved: Mapping[int, float]) -> Markup:
    drawn = []
    if series.band:
        upper = [frame.at(x, high) for x, _, high in series.band]
        lower = [frame.at(x, low) for x, low, _ in reversed(series.band)]
        drawn.append(tag("polygon", points=_places([*upper, *lower]), class_="band"))
    if series.line:
        line = [(x, y) for x, y in series.line if not frame.log or x > 0]
        vertices = _stepped(line) if series.step else line
        places = [frame.at(*place) for place in vertices]
        dash = None if series.look is None else _DASHES[series.look // len(PALETTE) % len(_DASHES)]
        points = _places(places)
        drawn.append(
            tag("polyline", points=points, class_="line", stroke_dasharray=dash, data_label=series.label or series.name)
        )
    drawn += [
        _point(series.look, point, frame, moved.get(id(point), 0.0))
        for point in series.points
        if not frame.log or point.x > 0
    ]
    classes = f"series {look_of(series.look)}{' faint' if series.faint else ''}{' front' if series.step else ''}"
    return tag("g", drawn, class_=classes, data_series=series.name)


def _stepped(line: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The best that is had for so much: level until more is paid."""
    found = list(line[:1])
    for (_, before), (x, y) in itertools.pairwise(line):
        found += [(x, before), (x, y)]
    return found


def _point(look: int | None, point: Point, frame: _Frame, aside: float) -> Markup:
    x, y = frame.at(point.x, min(max(point.y, frame.y[0]), frame.y[1]))
    x += aside
    drawn = [symbol(look, x, y)]
    if point.low is not None and point.high is not None and point.high > point.low:
        ends = [plain(frame.at(point.x, end)[1]) for end in (point.low, point.high)]
        drawn.insert(0, tag("line", x1=plain(x), x2=plain(x), y1=ends[0], y2=ends[1], class_="bar"))
    return tag("g", drawn, class_="mark", data_tip=point.tip)


def _places(places: Sequence[tuple[float, float]]) -> str:
    # What lies outside of the frame stays at its edge: clipping would need names that are unique in the page.
    top, bottom = _TOP - 2.0, HEIGHT - _BOTTOM + 2.0
    return " ".join(f"{plain(x)},{plain(min(max(y, top), bottom))}" for x, y in places)
