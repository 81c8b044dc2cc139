"""The picture of a network, to be opened and closed module by module."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from secateurs.reporting.html._layout import Layout, Node, laid_out
from secateurs.reporting.html._markup import Child, Markup, tag
from secateurs.reporting.html._numbers import percent, short
from secateurs.reporting.html._rails import ROW, axis_tip, inner_rails, passing, stops, width_of

__all__ = ["network_picture"]

_LONG = 4


def network_picture(outline: Mapping[str, Any], kept: Mapping[str, int] | None = None) -> Markup:
    """Layers from top to bottom in order of execution; axes as coloured lines, as wide as they have units.

    Args:
        outline: as `secateurs.graph.outline` gives it.
        kept: units that are left of axes; what the outline says where it is None.
    """
    layout = laid_out(outline, kept)
    if not layout.rows:
        return Markup("")
    rows = [_node(layout, node, 0) for node in layout.nodes]
    tips = {str(rail.number): axis_tip(rail) for rail in layout.rails}
    return tag(
        "div",
        # Once for each axis: its line is drawn in every row that it passes.
        tag("div", rows, class_="network", style=f"--lanes:{width_of(layout)}px", data_axes=json.dumps(tips)),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=f"Picture of {layout.name}",
    )


def _node(layout: Layout, node: Node, depth: int) -> Markup:
    if not node.inner:
        return tag("div", _row(layout, node, depth, [_lanes(layout, stops(layout, node), "")]), class_="layer")
    lanes = [_lanes(layout, stops(layout, node), "closed"), _lanes(layout, passing(layout, node), "open")]
    summary = tag("summary", _row(layout, node, depth, lanes))
    return tag("details", summary, [_node(layout, inner, depth + 1) for inner in node.inner], open=node.opened)


def _lanes(layout: Layout, drawn: Sequence[Markup], when: str) -> Markup:
    width = width_of(layout)
    return tag(
        "svg", drawn, viewBox=f"0 0 {width} {ROW}", width=width, height=ROW, class_=when or None, aria_hidden="true"
    )


def _row(layout: Layout, node: Node, depth: int, lanes: Sequence[Markup]) -> Child:
    rows = layout.rows[node.start : node.stop]
    before, after = (sum(row.macs[side] for row in rows) for side in (0, 1))
    most = max(sum(row.macs[0] for row in layout.rows[each.start : each.stop]) for each in layout.nodes) or 1.0
    kind = rows[0].type if not node.inner else _told_inner(layout, node)
    bar = tag(
        "span",
        tag("span", style=f"width:{100 * after / most:.2f}%"),
        class_="macs",
        style=f"--was:{100 * before / most:.2f}%",
        data_tip=_tip(layout, node, before, after),
    )
    figure = short(after) if before == after else f"{short(before)} to {short(after)}"
    return [
        tag("span", lanes, class_="lanes"),
        tag("span", tag("b", node.name), " ", tag("small", kind), class_="what", style=f"--depth:{min(depth, _LONG)}"),
        bar,
        tag("span", figure, class_="number"),
    ]


def _told_inner(layout: Layout, node: Node) -> str:
    layers, inner = node.stop - node.start, inner_rails(layout, node)
    if not inner:
        return f"{layers} layers"
    size, kept = sum(rail.size for rail in inner), sum(rail.kept for rail in inner)
    units = f"{size:,} units" if size == kept else f"{kept:,} of {size:,} units"
    return f"{layers} layers, {units} within"


def _tip(layout: Layout, node: Node, before: float, after: float) -> str:
    rows = layout.rows[node.start : node.stop]
    params = [sum(row.params[side] for row in rows) for side in (0, 1)]
    total = sum(row.macs[0] for row in layout.rows) or 1.0
    lines = [node.path, f"{short(before)} MACs, {percent(before / total)} of the network"]
    if after != before:
        lines.append(f"{short(after)} MACs after the cut, {percent(after / before if before else None)} left")
    told = f"{short(params[0])} parameters" + (f", {short(params[1])} after" if params[0] != params[1] else "")
    return "\n".join([*lines, told])
