"""What could not be cut, and why; what could, and through which layers it goes."""

from collections.abc import Mapping
from typing import Any

from secateurs.reporting.html._markup import Markup, tag
from secateurs.reporting.html._tables import Cell, Column, table

__all__ = ["axes_table", "fixed_table"]


def fixed_table(outline: Mapping[str, Any]) -> Markup:
    """Dims of weights that may not be cut, each with the reason; then what is cut by equal shares, and notes."""
    columns = [
        Column(title="weight", numeric=False),
        Column(title="dim"),
        Column(title="positions"),
        Column(title="why it may not be cut", numeric=False),
    ]
    rows = [
        [
            Cell(shown=str(each["path"])),
            Cell(shown=str(each["dim"]), sort=float(each["dim"])),
            Cell(
                shown=str(each["count"]) if each["count"] == each["size"] else f"{each['count']} of {each['size']}",
                sort=float(each["count"]),
            ),
            Cell(shown=str(each["why"])),
        ]
        for each in outline.get("fixed", ())
    ]
    told = [("Cut by equal shares only", "couplings"), ("Notes", "notes")]
    lists = [
        [tag("h4", title), tag("ul", [tag("li", str(entry)) for entry in outline[key]])]
        for title, key in told
        if outline.get(key)
    ]
    fixed = table("What could not be cut", columns, rows) or tag("p", "Everything that holds units may be cut.")
    return tag("div", fixed, lists)


def axes_table(outline: Mapping[str, Any]) -> Markup:
    """Every axis with its members."""
    columns = [
        Column(title="axis", numeric=False),
        Column(title="kind", numeric=False),
        Column(title="units"),
        Column(title="exact", numeric=False, tip="zeroing a unit where it is read equals removing it"),
        Column(title="made by", numeric=False),
        Column(title="read by", numeric=False),
    ]
    rows = [
        [
            Cell(shown=str(axis["name"])),
            Cell(shown=str(axis["kind"])),
            Cell(shown=str(axis["size"]), sort=float(axis["size"])),
            Cell(shown="yes" if axis["exact"] else "no"),
            *(Cell(shown=_owners(axis, role), kind="layers") for role in ("produces", "reads")),
        ]
        for axis in outline.get("axes", ())
    ]
    return table("What may be cut", columns, rows)


def _owners(axis: Mapping[str, Any], role: str) -> str:
    paths = (str(each["path"]).rpartition(".")[0] for each in axis["members"] if each["role"] == role)
    return ", ".join(dict.fromkeys(paths))
