"""Searches for the largest removal as pictures: what they found, and what finding it has cost."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from secateurs.reporting._figure import BLUE, GREY, ORANGE, colour_of, legend_beside, marker_of, new_figure, tidy
from secateurs.reporting._merit import Merit, merit_of
from secateurs.reporting._record import RunRecord

__all__ = ["Search", "search_figure", "searches", "searches_figure"]


@dataclass(frozen=True, kw_only=True)
class Search:
    """One search of one run.

    Attributes:
        label: variant of the study; None for a run by itself.
        subset: classes that the run is about; None for all.
        merit: what probes are judged by.
        remove: what levels are fractions of.
        found: percent that may go; 0 where no probe was good enough.
        target: what probes had to reach, as people read it.
        before_gops: of the training that all probes begin with.
        before_seconds: the same.
        probes: in their order, as the stage noted them.
    """

    label: str | None
    subset: str | None
    merit: Merit
    remove: str
    found: float
    target: float
    before_gops: float
    before_seconds: float
    probes: tuple[Mapping[str, Any], ...]

    @property
    def gops(self) -> float:
        """Of everything that the search took."""
        return self.before_gops + sum(float(probe["gops"]) for probe in self.probes)

    @property
    def seconds(self) -> float:
        """The same."""
        return self.before_seconds + sum(float(probe["seconds"]) for probe in self.probes)


def searches(members: Iterable[tuple[str | None, RunRecord]]) -> list[Search]:
    """All finished searches of these runs, (variant, run) each."""
    return [_search(label, run, stage["results"]) for label, run in members for stage in run.stages("search")]


def search_figure(name: str, search: Search) -> Any:
    """One search: validation accuracy of its probes against the target, and the cost of each."""
    figure = new_figure(10, 4.2)
    left, right = figure.subplots(1, 2)
    key, merit = f"validation_{search.merit.name}", search.merit
    for good, colour, marker, label in ((True, BLUE, "o", "good enough"), (False, ORANGE, "X", "not enough")):
        own = [probe for probe in search.probes if probe["reached"] and bool(probe["succeeds"]) is good]
        values = [merit.scale * float(probe[key]) for probe in own]
        if own:
            look = {"color": colour, "marker": marker, "markersize": 7, "linestyle": "none"}
            left.plot([100 * probe["level"] for probe in own], values, label=label, **look)
    for number, probe in enumerate(search.probes, start=1):
        if probe["reached"]:
            place = (100 * probe["level"], merit.scale * float(probe[key]))
            left.annotate(f"{number}", place, xytext=(5, 4), textcoords="offset points", fontsize=8)
    left.axhline(search.target, color=GREY, linestyle="--", linewidth=0.9, label="target")
    left.set_xlabel(f"{search.remove} removed, %")
    left.set_ylabel(f"validation {merit.title}")
    left.margins(x=0.1)
    left.legend(fontsize=8, frameon=False)
    _costs(right, search)
    tidy(left)
    found = f"{search.found:g} % found" if search.found else "nothing found"
    cost = f"{_short(search.gops)} GOps, {_short(search.seconds)} s in all"
    figure.suptitle(f"{name}: {found}; {cost}", x=0.01, ha="left")
    return figure


def searches_figure(name: str, found: Sequence[Search]) -> Any:
    """Searches of a study side by side: GOps and seconds against the level that each has found."""
    figure = new_figure(11, 4.2)
    panels = figure.subplots(1, 2, sharex=True)
    labels = list(dict.fromkeys(_label(search) for search in found))
    for axes, title, attribute in zip(panels, ("GOps", "seconds"), ("gops", "seconds"), strict=True):
        for number, label in enumerate(labels):
            own = [search for search in found if _label(search) == label]
            look = {"color": colour_of(number), "marker": marker_of(number), "markersize": 6, "linestyle": "none"}
            places = [search.found for search in own]
            axes.plot(places, [getattr(search, attribute) for search in own], label=label, alpha=0.8, **look)
        axes.set_xlabel(f"{found[0].remove} found to be removable, %")
        axes.set_ylabel(f"{title} of the search")
        axes.set_ylim(bottom=0)
        axes.margins(x=0.1)
        tidy(axes)
    legend_beside(panels[-1])
    figure.suptitle(
        f"{name}: what searches cost, training before them included; a point for each run", x=0.01, ha="left"
    )
    return figure


def _costs(axes: Any, search: Search) -> None:
    """A bar for what all probes begin with and one for each probe; seconds stand above."""
    names = ["before", *(f"{number}: {100 * probe['level']:g} %" for number, probe in enumerate(search.probes, 1))]
    gops = [search.before_gops, *(float(probe["gops"]) for probe in search.probes)]
    seconds = [search.before_seconds, *(float(probe["seconds"]) for probe in search.probes)]
    bars = axes.bar(range(len(names)), gops, color=[GREY, *[BLUE] * len(search.probes)])
    axes.bar_label(bars, labels=[f"{each:,.1f} s" for each in seconds], fontsize=7, padding=2)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=8)
    axes.set_ylabel("GOps of training and validation")
    axes.margins(y=0.12)
    tidy(axes)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _label(search: Search) -> str:
    return search.label or search.subset or "search"


def _search(label: str | None, run: RunRecord, results: Mapping[str, Any]) -> Search:
    merit = merit_of(run)
    asked = next(iter(results["asked"]), "params")
    subset = run.state.get("subset")
    return Search(
        label=label,
        subset=None if subset is None else str(subset),
        merit=merit,
        remove={"params": "parameters", "macs": "MACs"}.get(asked, asked),
        found=100 * float(results["level"] or 0.0),
        target=merit.scale * float(results["target"]),
        before_gops=float(results["before_gops"]),
        before_seconds=float(results["before_seconds"]),
        probes=tuple(results["probes"]),
    )
