"""The picture of a network as one SVG file."""

from collections.abc import Mapping
from typing import Any

from secateurs.reporting._colours import DARK, PALETTE
from secateurs.reporting.html._layout import Layout, Node, laid_out, visible
from secateurs.reporting.html._markup import Markup, tag
from secateurs.reporting.html._numbers import plain, short
from secateurs.reporting.html._rails import ROW, passing, stops, width_of

__all__ = ["network_svg"]

_NAME, _BAR, _FIGURE, _EDGE = 330, 150, 130, 12


def network_svg(outline: Mapping[str, Any]) -> str:
    """The same picture with the modules closed that the page begins with closed; colours follow the viewer's scheme."""
    layout = laid_out(outline)
    rows = list(visible(layout.nodes))
    lanes = width_of(layout)
    width, height = _EDGE + lanes + _NAME + _BAR + _FIGURE, 2 * _EDGE + 26 + ROW * len(rows)
    drawn = [_row(layout, node, depth, _EDGE + 26 + ROW * place) for place, (depth, node) in enumerate(rows)]
    macs = [sum(row.macs[side] for row in layout.rows) for side in (0, 1)]
    told = short(macs[0]) if macs[0] == macs[1] else f"{short(macs[0])} to {short(macs[1])}"
    title = tag("text", f"{layout.name}: {told} MACs", x=_EDGE, y=_EDGE + 12, class_="head")
    ground = tag("rect", width=width, height=height, class_="ground")
    picture = tag(
        "svg",
        tag("style", Markup(_style())),
        ground,
        title,
        drawn,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        aria_label=f"Picture of {layout.name}",
    )
    return f"{picture}\n"


def _row(layout: Layout, node: Node, depth: int, top: float) -> Markup:
    lanes = width_of(layout)
    marks = passing(layout, node) if node.opened else stops(layout, node)
    rows = layout.rows[node.start : node.stop]
    before, after = (sum(row.macs[side] for row in rows) for side in (0, 1))
    most = max(sum(row.macs[0] for row in layout.rows[each.start : each.stop]) for each in layout.nodes) or 1.0
    middle, left = top + ROW / 2, _EDGE + lanes + 8 + 14 * min(depth, 6)
    kind = rows[0].type if not node.inner else f"{node.stop - node.start} layers"
    name = tag("text", tag("tspan", node.name, class_="name"), f"  {kind}", x=left, y=plain(middle), dy="0.32em")
    start = _EDGE + lanes + _NAME
    bars = [
        tag("rect", x=start, y=plain(middle - 4), width=plain((_BAR - 14) * value / most), height=8, class_=look)
        for value, look in ((before, "was"), (after, "now"))
    ]
    told = short(before) if before == after else f"{short(before)} to {short(after)}"
    figure = tag("text", told, x=start + _BAR, y=plain(middle), dy="0.32em")
    folded = [tag("line", x1=_EDGE + lanes, x2=start + _BAR + _FIGURE - _EDGE, y1=top, y2=top, class_="edge")]
    return tag(
        "g",
        folded if depth == 0 else None,
        tag("g", marks, transform=f"translate({_EDGE} {plain(top)})"),
        name,
        bars,
        figure,
    )


def _style() -> str:
    def colours(palette: tuple[str, ...]) -> str:
        return "".join(f".c{number}{{--c:{colour}}}" for number, colour in enumerate(palette))

    return (
        ":root{--ground:#fff;--ink:#1a1d21;--soft:#667;--pale:#dfe3e8}"
        + colours(PALETTE)
        + "@media(prefers-color-scheme:dark){:root{--ground:#15181c;--ink:#e8eaed;--soft:#9aa3ad;--pale:#363c44}"
        + colours(DARK)
        + "}text{font:12px system-ui,sans-serif;fill:var(--soft);white-space:pre}.name{font-weight:600;fill:var(--ink)}"
        ".head{font-size:15px;font-weight:600;fill:var(--ink)}.ground{fill:var(--ground)}"
        ".rail,.link{stroke:var(--c);fill:none}.link{stroke-width:1.4}.stop{fill:var(--c)}"
        "line.was{stroke:var(--c);opacity:.25}rect.was{fill:var(--pale)}rect.now{fill:#0072B2}"
        ".edge{stroke:var(--pale);stroke-width:1}"
    )
