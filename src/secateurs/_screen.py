"""One live display on a terminal: a row for what runs, one for the whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from secateurs._duration import duration

__all__ = ["Row", "screen"]

_NARROW = 76  # below this width, a bar would leave no room for the words


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one line of the display says; `share` is the fraction done, `left` in seconds, None where unknown."""

    title: str
    latest: str
    share: float
    left: float | None


def screen(console: Console, rows: Callable[[], Sequence[Row]]) -> Live:
    """A display that asks for its rows four times a second, in a thread of its own: training waits for nothing.

    Whatever is printed meanwhile stands above it. It vanishes at the end; what should stay is printed.
    """
    return Live(
        get_renderable=lambda: _table(rows(), console.width),
        console=console,
        refresh_per_second=4,
        transient=True,
    )


def _table(rows: Sequence[Row], width: int) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True)
    if width >= _NARROW:
        table.add_column(ratio=1)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    for row in rows:
        left = "" if row.left is None else f"{duration(row.left)} left"
        bar = [ProgressBar(total=1.0, completed=row.share)] if width >= _NARROW else []
        done = f"{100 * row.share:3.0f} %"
        table.add_row(Text(row.title), *bar, Text(f"{done}  {row.latest}".rstrip()), Text(left))
    return table
