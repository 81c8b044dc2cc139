"""Tables that can be sorted by any column."""

from collections.abc import Sequence
from dataclasses import dataclass

from secateurs.reporting.html._markup import Child, Markup, tag

__all__ = ["Cell", "Column", "table"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A heading.

    Attributes:
        numeric: its cells stand on the right.
        tip: what it means.
    """

    title: str
    numeric: bool = True
    tip: str | None = None


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What stands in a row.

    Attributes:
        sort: by what it is sorted; its text where that is None.
        share: of a bar behind it, from 0 to 1.
        tip: what pointing at it says.
    """

    shown: Child
    sort: float | None = None
    share: float | None = None
    tip: str | None = None
    kind: str | None = None


def table(name: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, wide: bool = True) -> Markup:
    """A table with buttons for headings; the first cell of a row names it. Empty where there are no rows.

    Args:
        name: what it is, for those who do not see it.
        wide: it may take the width of the page.
    """
    if not rows:
        return Markup("")
    heads = [
        tag(
            "th",
            tag("button", column.title, type="button", title=column.tip),
            scope="col",
            aria_sort="none",
            class_="number" if column.numeric else None,
        )
        for column in columns
    ]
    body = [
        tag("tr", [_cell(*pair, first=place == 0) for place, pair in enumerate(zip(columns, row, strict=True))])
        for row in rows
    ]
    made = tag("table", tag("thead", tag("tr", heads)), tag("tbody", body), aria_label=name, class_="sortable")
    # Scrolls by itself, so that the page never does, and can be reached by keys for that.
    return tag("div", made, class_="scroll" if wide else "scroll narrow", tabindex="0", role="region", aria_label=name)


def _cell(column: Column, cell: Cell, *, first: bool) -> Markup:
    classes = " ".join(
        filter(None, ["number" if column.numeric else "", "barred" if cell.share is not None else "", cell.kind or ""])
    )
    style = None if cell.share is None else f"--share:{100 * min(max(cell.share, 0.0), 1.0):.1f}%"
    facts = {"class_": classes or None, "style": style, "data_tip": cell.tip, "data_sort": _sort(cell.sort)}
    if first:
        return tag("th", cell.shown, scope="row", **facts)
    return tag("td", cell.shown, **facts)


def _sort(value: float | None) -> str | None:
    return None if value is None else repr(float(value))
