"""How much of each axis is left: of a run as bars, of variants side by side."""

import statistics
from collections.abc import Mapping, Sequence

from secateurs.reporting.html._headline import swatch
from secateurs.reporting.html._markup import Markup, tag
from secateurs.reporting.html._numbers import finite, percent
from secateurs.reporting.html._tables import Cell, Column, table
from secateurs.reporting.html._views import Group, View

__all__ = ["kept_of", "kept_table", "kept_together"]

_MEMBERS = 16


def kept_of(view: View) -> dict[str, tuple[int, int]]:
    """Axis to (units after the last cut, units before the first); empty where no stage has told of axes."""
    found: dict[str, tuple[int, int]] = {}
    for stage in view.stages:
        axes = stage["results"].get("axes")
        for axis in axes if isinstance(axes, list) else ():
            size, kept = finite(axis.get("size")), finite(axis.get("kept"))
            if size and kept is not None:
                # An axis of a single unit is none any more, and later cuts do not name it.
                found[str(axis["name"])] = (int(kept), found.get(str(axis["name"]), (0, int(size)))[1])
    return found


def kept_table(view: View) -> Markup:
    """A bar for each axis in the order of the network; pointing at it names the layers that it goes through."""
    kept, members = kept_of(view), _members(view)
    columns = [
        Column(title="axis", numeric=False),
        Column(title="kind", numeric=False),
        Column(title="kept"),
        Column(title="of"),
        Column(title="left", numeric=False),
    ]
    kinds = {str(axis.get("name")): str(axis.get("kind")) for axis in _axes(view)}
    rows = []
    for name, (left, size) in kept.items():
        tip = "\n".join([f"{name}: {left} of {size} units", *members.get(name, ())])
        rows.append(
            [
                Cell(shown=name, tip=tip),
                Cell(shown=kinds.get(name, "")),
                Cell(shown=str(left), sort=left),
                Cell(shown=str(size), sort=size),
                Cell(shown=percent(left / size), sort=left / size, share=left / size, tip=tip, kind="long"),
            ]
        )
    return table(f"Units kept, {view.variant}", columns, rows)


def kept_together(group: Group) -> Markup:
    """A row for each axis, a column for each variant: the share of its units that is left, mean over seeds."""
    shares: dict[str, dict[str, list[float]]] = {}
    order: dict[str, None] = {}
    for variant in group.variants:
        for view in group.of(variant):
            for axis, (left, size) in kept_of(view).items():
                order[axis] = None
                shares.setdefault(variant, {}).setdefault(axis, []).append(left / size)
    if not shares:
        return Markup("")
    # Columns of one variant each: more would be a table that nobody reads across.
    columns = [Column(title="axis", numeric=False), *(Column(title=variant) for variant in shares)]
    rows = [
        [Cell(shown=axis), *(_heat(variant, axis, own.get(axis, ())) for variant, own in shares.items())]
        for axis in order
    ]
    names = [tag("span", swatch(group, variant), variant) for variant in shares]
    return tag("div", tag("p", names, class_="key"), table(f"Units kept by {group.name}", columns, rows))


def _heat(variant: str, axis: str, values: Sequence[float]) -> Cell:
    if not values:
        return Cell(shown="-")
    mean = statistics.fmean(values)
    spread = f", {percent(min(values))} to {percent(max(values))}" if len(values) > 1 else ""
    tip = f"{variant}\n{axis}: {percent(mean)} left{spread}"
    return Cell(shown=f"{100 * mean:.0f}", sort=mean, share=mean, tip=tip, kind="heat")


def _axes(view: View) -> list[Mapping[str, object]]:
    found: list[Mapping[str, object]] = []
    for stage in view.stages:
        axes = stage["results"].get("axes")
        found += [axis for axis in (axes if isinstance(axes, list) else ()) if isinstance(axis, dict)]
    return found


def _members(view: View) -> dict[str, list[str]]:
    """Axis to the dims of weights that it goes through."""
    found = {}
    for axis in view.outline.get("axes", ()):
        told = [f"{member['role']}: {member['path']}[{member['dim']}]" for member in axis["members"]]
        more = [f"and {len(told) - _MEMBERS} more"] if len(told) > _MEMBERS else []
        found[str(axis["name"])] = [*told[:_MEMBERS], *more]
    return found
