"""Tables for notebooks: escaped, and in the page's own colours, so that they are readable in light and dark."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["Cell", "cost_rows", "page", "table"]

Cell = str | int | float
"""Numbers are set to the right, with separators."""

_MOST_ROWS = 500
_RULE = "border-bottom:1px solid rgba(128,128,128,0.4);padding:2px 10px 2px 0;"


def page(*parts: str) -> str:
    """Tables below one another."""
    return f'<div style="overflow-x:auto;color:inherit;background:transparent">{"".join(parts)}</div>'


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[Cell]], *, folded: bool = False) -> str:
    """One table, to be opened by a click where it is folded; only the first rows of a very long one."""
    every = list(rows)
    body = "".join(_row(row) for row in every[:_MOST_ROWS])
    if len(every) > _MOST_ROWS:
        body += _row([f"and {len(every) - _MOST_ROWS:,} more"])
    head = "".join(f'<th style="{_RULE}text-align:left">{escape(name)}</th>' for name in header)
    found = f'<table style="border-collapse:collapse;color:inherit"><thead><tr>{head}</tr></thead>{body}</table>'
    summary = f"<summary><b>{escape(title)}</b></summary>"
    return f"<details{'' if folded else ' open'}>{summary}{found}</details>"


def _row(row: Sequence[Cell]) -> str:
    return f"<tr>{''.join(map(_cell, row))}</tr>"


def _cell(value: Cell) -> str:
    if isinstance(value, str):
        return f'<td style="{_RULE}text-align:left">{escape(value)}</td>'
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
    return f'<td style="{_RULE}text-align:right;font-variant-numeric:tabular-nums">{text}</td>'


def cost_rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, int, int, str]]:
    """Figures before and after a cut, and the part of them that goes."""
    rows = []
    for name in ("params", "macs", "bytes", "activation_bytes"):
        dense, small = int(before[name]), int(after[name])
        rows.append((name, dense, small, f"{1 - small / dense:.1%}" if dense else "-"))
    return rows
