"""One row of a network's picture: the lines that pass it, and what the layer makes and reads of them."""

from collections.abc import Sequence

from secateurs.reporting.html._layout import Layout, Node, Rail
from secateurs.reporting.html._markup import Markup, tag
from secateurs.reporting.html._numbers import plain
from secateurs.reporting.html._xy import look_of

__all__ = ["PITCH", "ROW", "axis_tip", "inner_rails", "passing", "stops", "width_of"]

PITCH, ROW = 13, 28
_READ, _MAKE, _THINNEST, _THICKEST = 9, 19, 1.5, 9.0
_MOST_MEMBERS = 14


def width_of(layout: Layout) -> int:
    """Of the lanes together."""
    return PITCH * layout.lanes + 14


def stops(layout: Layout, node: Node, top: float = 0.0) -> list[Markup]:
    """A row that stands for the layers of `node`; axes that are only within them are not shown."""
    touching = [rail for rail in layout.rails if rail.first < node.stop and rail.last >= node.start]
    inner = node.stop - node.start > 1
    shown = [rail for rail in touching if not (inner and rail.first >= node.start and rail.last < node.stop)]
    lines = [_line(layout, rail, node, top) for rail in shown]
    # Connections over all lines that they cross.
    return lines + [_links(layout, rail, node, top) for rail in shown]


def passing(layout: Layout, node: Node, top: float = 0.0) -> list[Markup]:
    """The row of an opened module: what comes from above it."""
    coming = [rail for rail in layout.rails if rail.first < node.start <= rail.last]
    return [_bars(layout, rail, top, top + ROW) for rail in coming]


def axis_tip(rail: Rail) -> str:
    """The axis in words, with its members."""
    left = f"{rail.kept} of {rail.size} units kept" if rail.kept < rail.size else f"{rail.size} units"
    exact = "" if rail.exact else ", crosses a normalisation"
    members = list(rail.where[:_MOST_MEMBERS])
    if len(rail.where) > _MOST_MEMBERS:
        members.append(f"and {len(rail.where) - _MOST_MEMBERS} more")
    return "\n".join([f"{rail.name}: {left} ({rail.kind}{exact})", *members])


def _line(layout: Layout, rail: Rail, node: Node, top: float) -> Markup:
    starts, ends = rail.first >= node.start, rail.last < node.stop
    upper = top + ((_MAKE if any(node.start <= row < node.stop for row in rail.makes) else _READ) if starts else 0)
    lower = top + (_last_stop(rail, node) if ends else ROW)
    return _bars(layout, rail, min(upper, lower - 1), lower)


def _last_stop(rail: Rail, node: Node) -> int:
    made = any(node.start <= row < node.stop for row in rail.makes)
    return _MAKE if made else _READ


def _bars(layout: Layout, rail: Rail, upper: float, lower: float) -> Markup:
    """As wide as its units were, pale; as wide as they are, in colour."""
    x = _place(rail)
    widths = [
        _thickness(layout, count) for count in ((rail.size, rail.kept) if rail.kept < rail.size else (rail.size,))
    ]
    looks = ("was", "rail") if len(widths) > 1 else ("rail",)
    drawn = [
        tag("line", x1=x, x2=x, y1=plain(upper), y2=plain(lower), stroke_width=plain(width), class_=look)
        for width, look in zip(widths, looks, strict=True)
    ]
    return tag("g", drawn, class_=look_of(rail.number), data_axis=rail.number)


def _links(layout: Layout, rail: Rail, node: Node, top: float) -> Markup:
    x, right = _place(rail), width_of(layout)
    drawn = []
    if any(node.start <= row < node.stop for row in rail.reads):
        height = plain(top + _READ)
        arrow = f"M{x} {height}H{right - 5}m-4 -3.5l5 3.5l-5 3.5"
        drawn.append(tag("path", d=arrow, class_="link"))
    if any(node.start <= row < node.stop for row in rail.makes):
        y = top + _MAKE
        drawn.append(tag("path", d=f"M{right} {plain(y)}H{x}", class_="link"))
        radius = max(3.4, _thickness(layout, rail.kept) / 2 + 1.4)
        drawn.append(tag("circle", cx=x, cy=plain(y), r=plain(radius), class_="stop"))
    return tag("g", drawn, class_=look_of(rail.number), data_axis=rail.number) if drawn else Markup("")


def _place(rail: Rail) -> float:
    return PITCH * rail.lane + PITCH / 2 + 1


def _thickness(layout: Layout, units: int) -> float:
    return _THINNEST + (_THICKEST - _THINNEST) * (units / layout.widest)


def inner_rails(layout: Layout, node: Node) -> Sequence[Rail]:
    """Axes that are within a module alone."""
    return [rail for rail in layout.rails if rail.first >= node.start and rail.last < node.stop]
