"""Searches for the largest removal: their probes, and what finding it has cost."""

from secateurs.reporting._search_plot import Search, searches
from secateurs.reporting.html._markup import Child, tag
from secateurs.reporting.html._numbers import finite, percent, seconds_text, short
from secateurs.reporting.html._tables import Cell, Column, table
from secateurs.reporting.html._views import Group

__all__ = ["search_view"]


def search_view(group: Group) -> Child:
    """A row for each probe; None where no run has searched."""
    found = searches([(view.variant, view.record) for view in group.views if view.stages])
    if not found:
        return None
    titles = ("probe", "removed", "validation", "target", "GOps", "time")
    columns = [Column(title="search", numeric=False), Column(title="good enough", numeric=False)]
    columns += [Column(title=title) for title in titles]
    told = [
        f"{search.label}: {search.found:g} % of {search.remove} found; {short(search.gops)} GOps and "
        f"{seconds_text(search.seconds)} in all."
        for search in found
    ]
    rows = [row for search in found for row in _rows(search)]
    return [tag("h3", "Searches"), tag("ul", [tag("li", line) for line in told]), table("Probes", columns, rows)]


def _rows(search: Search) -> list[list[Cell]]:
    rows = []
    for number, probe in enumerate(search.probes, start=1):
        value = finite(probe.get(f"validation_{search.merit.name}"))
        good = None if value is None else search.merit.scale * value
        level, gops, seconds = (finite(probe.get(key)) for key in ("level", "gops", "seconds"))
        reached = bool(probe.get("reached"))
        rows.append(
            [
                Cell(shown=search.label or search.subset or "search"),
                Cell(shown="not reachable" if not reached else "yes" if probe.get("succeeds") else "no"),
                Cell(shown=str(number), sort=number),
                Cell(shown=percent(level), sort=level),
                Cell(shown="-" if good is None else f"{good:.2f}", sort=good),
                Cell(shown=f"{search.target:.2f}", sort=search.target),
                Cell(shown=short(gops), sort=gops),
                Cell(shown=seconds_text(seconds), sort=seconds),
            ]
        )
    return rows
