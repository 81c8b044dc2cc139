"""The report of some runs: one file for everything that their directories tell."""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from secateurs._errors import FileError, SecateursError
from secateurs._files import write_text
from secateurs.reporting._catalogue import Entry, catalogue
from secateurs.reporting.html._curves import group_curves, run_curves
from secateurs.reporting.html._fixed import axes_table, fixed_table
from secateurs.reporting.html._gates_view import gates_view
from secateurs.reporting.html._headline import before_after, key_figures, runs_table, variants_table
from secateurs.reporting.html._kept import kept_of, kept_table, kept_together
from secateurs.reporting.html._levels_view import levels_view
from secateurs.reporting.html._markup import Child, Markup, tag
from secateurs.reporting.html._masks_view import masks_view
from secateurs.reporting.html._methods import methods_of
from secateurs.reporting.html._network import network_picture
from secateurs.reporting.html._origin import commands_table, config_block, environment_table
from secateurs.reporting.html._page import Section, page
from secateurs.reporting.html._scores_view import scores_view
from secateurs.reporting.html._search_view import search_view
from secateurs.reporting.html._subset_view import subset_view
from secateurs.reporting.html._symbols import symbol
from secateurs.reporting.html._tradeoff import tradeoff_charts
from secateurs.reporting.html._views import Group, View, groups_of
from secateurs.reporting.html._xy import look_of

__all__ = ["REPORT_FILE", "report_page", "write_report"]

REPORT_FILE = "report.html"
_DETAILS = 200
"""So many runs are shown one by one; of more, the tables tell, and a report of each by itself."""


def write_report(folders: Sequence[Path], out: Path, *, held: Callable[[Path], bool]) -> Path:
    """Write the report of all runs in or below `folders`, whatever state they are in, as one HTML file.

    Args:
        held: whether a process has that run directory now.

    Raises:
        FileError: there are no runs, or the file cannot be written.
    """
    entries = catalogue(folders, held=held)
    if not entries:
        where = ", ".join(map(str, folders))
        raise FileError(
            where, wanted="at least one run", got="none", cure="Name a run directory, or a folder with some."
        )
    write_text(out, report_page(entries))
    return out


def report_page(entries: Sequence[Entry]) -> str:
    """The page about these runs and studies."""
    groups = groups_of(entries, methods_of)
    views = [view for group in groups for view in group.views]
    anchors = {view.entry.path: f"run-{number}" for number, view in enumerate(views[:_DETAILS], start=1)}
    sections = [
        Section(anchor="overview", title="Overview", content=_guarded(lambda: _overview(groups))),
        *(section for number, group in enumerate(groups, start=1) for section in _group_sections(number, group)),
        Section(anchor="networks", title="Networks", content=_guarded(lambda: _networks(groups))),
        Section(anchor="runs", title="Runs one by one", content=_guarded(lambda: _details(groups, anchors))),
        Section(anchor="reproduce", title="Reproduce", content=_guarded(lambda: _reproduce(groups))),
    ]
    return page(_title(groups), _lead(groups, views), sections)


def _title(groups: Sequence[Group]) -> str:
    names = list(dict.fromkeys(group.name for group in groups))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _lead(groups: Sequence[Group], views: Sequence[View]) -> str:
    counts = {
        status: sum(view.entry.status == status for view in views)
        for status in ("finished", "running", "stopped", "failed", "damaged")
    }
    told = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    several = f" in {len(groups)} studies or recipes" if len(groups) > 1 else ""
    return f"{len(views)} {'run' if len(views) == 1 else 'runs'}{several}: {told or 'none has begun'}."


def _overview(groups: Sequence[Group]) -> Child:
    """What failed, and what came out: of one run everything, of several a row for each variant."""
    if sum(len(group.views) for group in groups) == 1:
        group = next(group for group in groups if group.views)
        view = group.views[0]
        figures = [key_figures(view, group.merit), before_after(view, group.merit), tradeoff_charts(group)]
        return [_trouble(groups), figures]
    titled = len(groups) > 1
    tables = [[tag("h3", group.name) if titled else None, variants_table(group)] for group in groups if group.views]
    return [_trouble(groups), tables]


def _trouble(groups: Sequence[Group]) -> list[Markup]:
    """What failed, first: nobody should have to look for it."""
    found = [entry for group in groups for entry in ([group.study] if group.study else [])]
    found += [view.entry for group in groups for view in group.views]
    return [
        tag(
            "div",
            tag("strong", f"{entry.status}: "),
            f"{entry.path}: {entry.error.strip()}",
            class_="alert",
            role="note",
        )
        for entry in found
        if entry is not None and entry.status in ("failed", "damaged") and entry.error
    ][:20]


def _group_sections(number: int, group: Group) -> Iterable[Section]:
    compared: list[tuple[str, Callable[[], Child]]] = [
        ("Against cost", lambda: tradeoff_charts(group)),
        ("Training", lambda: group_curves(group)),
        ("Units kept, % of each axis", lambda: kept_together(group)),
    ]
    several = len(group.views) > 1
    shown = [(title, made) for title, build in compared if several and (made := _guarded(build))]
    content: list[Child] = [[tag("h3", title), made] for title, made in shown]
    for view in (levels_view, gates_view, masks_view, search_view, subset_view):
        content.append(_guarded(partial(view, group)))
    if any(content):
        yield Section(
            anchor=f"group-{number}", title=group.name, content=[_legend(group) if several else None, content]
        )


def _legend(group: Group) -> Markup:
    """Buttons that show and hide methods."""
    methods = list(dict.fromkeys(group.methods.values()))
    buttons = [
        tag(
            "li",
            tag(
                "button",
                tag("svg", symbol(number, 7, 7), viewBox="0 0 14 14", class_=look_of(number), aria_hidden="true"),
                method,
                type="button",
                aria_pressed="true",
                data_series=method,
            ),
        )
        for number, method in enumerate(methods)
    ]
    return tag("ul", buttons, class_="legend", aria_label="Methods: press to hide or show")


def _networks(groups: Sequence[Group]) -> Child:
    """Each network once, with what its first run has left of it; what could not be cut, and why."""
    known: dict[str, tuple[View, list[str]]] = {}
    for group in groups:
        for view in group.views:
            if view.outline:
                key = json.dumps(view.outline, sort_keys=True, default=str)
                known.setdefault(key, (view, []))[1].append(f"{group.name} / {view.variant}")
    return [_network(view, list(dict.fromkeys(names))) for view, names in list(known.values())[:12]]


def _network(view: View, names: Sequence[str]) -> Markup:
    title = str(view.record.state.get("network") or view.outline.get("network"))
    kept = {axis: left for axis, (left, _) in kept_of(view).items()}
    cut = f", as {view.variant} has left it" if any(left < size for left, size in kept_of(view).values()) else ""
    of = f"Of {', '.join(names[:6])}{' and others' if len(names) > 6 else ''}."
    about = (
        "Layers from top to bottom; each coloured line is an axis, as wide as it has units; bars are multiply-adds "
        "before any cut."
    )
    return tag(
        "div",
        tag("h3", f"{title}{cut}"),
        tag("p", f"{of} {about}", class_="note"),
        _guarded(lambda: network_picture(view.outline, kept)),
        tag("h4", "What could not be cut, and why"),
        _guarded(lambda: fixed_table(view.outline)),
        tag("details", tag("summary", "What may be cut"), _guarded(lambda: axes_table(view.outline))),
    )


def _details(groups: Sequence[Group], anchors: dict[Path, str]) -> Child:
    def link(view: View) -> str | None:
        anchor = anchors.get(view.entry.path)
        return None if anchor is None else f"#{anchor}"

    several = len(anchors) > 1
    shown = [
        _run(group, view, anchors[view.entry.path], opened=not several)
        for group in groups
        for view in group.views
        if view.entry.path in anchors
    ]
    left = sum(len(group.views) for group in groups) - len(shown)
    more = f"{left} more runs are in the tables only; `secateurs report` shows each of them by itself."
    listed = runs_table(groups, link) if several else None
    return [listed, *shown, tag("p", more, class_="note") if left else None]


def _run(group: Group, view: View, anchor: str, *, opened: bool) -> Markup:
    entry, merit = view.entry, group.merit
    like = next(other.config for other in group.views)
    name = f"{group.name} / {view.variant}" if group.study is not None else view.variant
    error = tag("div", entry.error.strip(), class_="alert") if entry.error else None
    content = [
        error,
        None if opened else _guarded(lambda: before_after(view, merit)),
        _guarded(lambda: run_curves(view, merit)),
        _guarded(lambda: kept_table(view)),
        _guarded(lambda: scores_view(view)),
        config_block("Resolved recipe", view.config) if view.config and like is view.config else None,
        config_block("Resolved recipe, where it differs from the first of the group", view.config, like)
        if view.config and like is not view.config
        else None,
    ]
    told = f"seed {view.seed}, {entry.status}"
    return tag(
        "details",
        tag("summary", name, " ", tag("small", told)),
        content,
        class_="run",
        id=anchor,
        open=opened,
    )


def _reproduce(groups: Sequence[Group]) -> Child:
    note = "Each command carries out the resolved recipe that the run left, in a new directory, with the same seed."
    return [tag("p", note, class_="note"), commands_table(groups), tag("h3", "Environment"), environment_table(groups)]


def _guarded(build: Callable[[], Child]) -> Child:
    """A part of the page; where a damaged file stands in its way, what is wrong, so that the rest is whole."""
    try:
        return build()
    # Whatever stands in a damaged file, the others are still to be shown.
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, OSError, SecateursError) as error:
        return tag("p", f"Not shown: {type(error).__name__}: {error}", class_="note")
