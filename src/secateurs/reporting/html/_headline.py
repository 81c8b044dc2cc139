"""What came out: before, after and the ratio, for runs, variants and groups."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from secateurs.reporting._merit import Merit
from secateurs.reporting._spread import spread_of, with_spread
from secateurs.reporting.html._markup import Child, Markup, tag
from secateurs.reporting.html._numbers import bytes_text, finite, percent, points, seconds_text, short
from secateurs.reporting.html._tables import Cell, Column, table
from secateurs.reporting.html._views import Group, View, figure_of, latency_of
from secateurs.reporting.html._xy import look_of

__all__ = ["before_after", "key_figures", "runs_table", "swatch", "variants_table"]


@dataclass(frozen=True, kw_only=True)
class _Cost:
    key: str
    title: str
    text: Callable[[float | None], str]


_COSTS = (
    _Cost(key="macs", title="MACs", text=short),
    _Cost(key="params", title="parameters", text=short),
    _Cost(key="bytes", title="bytes", text=bytes_text),
    _Cost(key="latency_ms", title="latency", text=lambda value: short(value, "ms")),
)
_TIMES = "\u00d7"
_KEPT_TIP = "after, and how much of the network before the first cut that is"


def swatch(group: Group, variant: str) -> Markup:
    """The colour of its method."""
    number = list(dict.fromkeys(group.methods.values())).index(group.methods[variant])
    return tag("span", class_=f"swatch {look_of(number)}", aria_hidden="true")


def key_figures(view: View, merit: Merit) -> Markup:
    """The few numbers that a run is about, large."""
    before, after = (figure_of(view, side, merit.test) for side in ("before", "after"))
    cards = []
    if after is not None:
        told = "" if before is None else f"{_merit_text(merit, before)} before"
        cards.append(_card(merit.word, _merit_text(merit, after), told))
    for cost in _COSTS:
        dense, small = (figure_of(view, side, cost.key) for side in ("before", "after"))
        if small is None:
            continue
        told = cost.text(small) if dense is None else f"{cost.text(dense)} to {cost.text(small)}"
        times = f"{dense / small:.2f}{_TIMES} less" if dense and small else cost.text(small)
        cards.append(_card(cost.title, times, told))
    return tag("div", cards, class_="cards") if cards else Markup("")


def before_after(view: View, merit: Merit) -> Markup:
    """Every figure of one run: before, after, how much is left and how many times less that is."""
    columns = [Column(title="", numeric=False), Column(title="before"), Column(title="after")]
    columns += [Column(title="left", tip="after / before"), Column(title="ratio", tip="before / after")]
    before, after = (figure_of(view, side, merit.test) for side in ("before", "after"))
    rows = []
    if after is not None:
        lost = None if before is None else merit.scale * (after - before)
        rows.append(
            [
                Cell(shown=f"test {merit.word}"),
                *(Cell(shown=_merit_text(merit, value), sort=value) for value in (before, after)),
                Cell(shown="-" if lost is None else f"{points(lost)} {merit.unit}", sort=lost),
                Cell(shown="-"),
            ]
        )
    for cost in _COSTS[:3]:
        sides = [figure_of(view, side, cost.key) for side in ("before", "after")]
        if sides[1] is not None:
            exact = [None if value is None else f"{value:,.0f}" for value in sides]
            rows.append(_cost_row(cost.title, sides, [cost.text(value) for value in sides], exact))
    gops = [None if (macs := figure_of(view, side, "macs")) is None else 2e-9 * macs for side in ("before", "after")]
    if gops[1] is not None:
        rows.append(_cost_row("GOps per image (2 per MAC)", gops, [f"{_dash(value)}" for value in gops]))
    return table(f"Before and after, {view.variant}", columns, [*rows, *_latency_rows(view)], wide=False)


def variants_table(group: Group) -> Markup:
    """A row for each variant: means and standard deviations over seeds."""
    merit = group.merit
    title = merit.word
    columns = [
        Column(title="variant", numeric=False),
        Column(title="runs"),
        Column(title=f"{title} before{merit.suffix}"),
        Column(title=f"{title} after{merit.suffix}", tip="mean ± standard deviation over seeds"),
        Column(title="change", tip=f"{merit.unit}, mean over seeds"),
        *(Column(title=cost.title, tip=_KEPT_TIP) for cost in _COSTS),
        Column(title="time", tip="of all stages, mean over runs"),
    ]
    # What nobody measured needs no column.
    shown = [any(figure_of(view, "after", cost.key) is not None for view in group.done) for cost in _COSTS]
    rows = []
    for variant in group.variants:
        cells = _variant_cells(group, variant)
        rows.append([*cells[:5], *(cell for cell, keep in zip(cells[5:9], shown, strict=True) if keep), cells[9]])
    kept = [*columns[:5], *(column for column, keep in zip(columns[5:9], shown, strict=True) if keep), columns[9]]
    return table(f"Variants of {group.name}", kept, rows)


def runs_table(groups: Sequence[Group], link: Callable[[View], str | None]) -> Markup:
    """A row for each run, whatever state it is in."""
    names = ("run", "status", "seed", "stage", "before", "after", "MACs left", "parameters left", "latency", "time")
    text = {"run", "status", "stage"}
    columns = [Column(title=name, numeric=name not in text) for name in names]
    rows = [_run_cells(group, view, link(view)) for group in groups for view in group.views]
    return table("All runs", columns, rows)


def _variant_cells(group: Group, variant: str) -> list[Cell]:
    views, merit = group.of(variant), group.merit
    begun = len(group.of(variant, finished=False))
    before, after = (_values(views, side, merit.test) for side in ("before", "after"))
    pairs = [(_merit(view, merit, "before"), _merit(view, merit, "after")) for view in views]
    changes = [merit.scale * (after - before) for before, after in pairs if before is not None and after is not None]
    seconds = [view.entry.seconds for view in views]
    return [
        Cell(shown=[swatch(group, variant), variant]),
        Cell(shown=str(len(views)) if len(views) == begun else f"{len(views)} of {begun}", sort=len(views)),
        _spreading(merit, before),
        _spreading(merit, after),
        Cell(shown=points(_mean(changes)), sort=_mean(changes)),
        *(_kept_cell(cost, views) for cost in _COSTS),
        Cell(shown=seconds_text(_mean(seconds)), sort=_mean(seconds)),
    ]


def _kept_cell(cost: _Cost, views: Sequence[View]) -> Cell:
    before, after = (_mean(_values(views, side, cost.key)) for side in ("before", "after"))
    if after is None:
        return Cell(shown="-")
    share = after / before if before else None
    left = "" if share is None else f" ({percent(share)})"
    spread = spread_of(_values(views, "after", cost.key)) if cost.key == "latency_ms" else None
    text = cost.text(after) if spread is None else f"{cost.text(after)} ± {short(spread)}"
    return Cell(shown=f"{text}{left}", sort=after, share=share)


def _run_cells(group: Group, view: View, link: str | None) -> list[Cell]:
    merit, entry = group.merit, view.entry
    known = f"{group.name} / {view.variant}" if group.study is not None else view.variant
    name: Child = known if link is None else tag("a", known, href=link)
    before, after = (_merit(view, merit, side) for side in ("before", "after"))
    stage = "" if view.finished or not entry.stage else f"{entry.stage} ({entry.done} of {entry.total} done)"
    latency = figure_of(view, "after", "latency_ms")
    mark = swatch(group, view.variant)
    return [
        Cell(shown=[mark, name], tip=str(entry.path)),
        Cell(shown=entry.status, kind=f"status {entry.status}", tip=entry.error),
        Cell(shown=str(view.seed), sort=finite(view.seed)),
        Cell(shown=stage),
        Cell(shown=_merit_text(merit, before), sort=before),
        Cell(shown=_merit_text(merit, after), sort=after),
        Cell(shown=percent(entry.macs_kept), sort=entry.macs_kept, share=entry.macs_kept),
        Cell(shown=percent(entry.params_kept), sort=entry.params_kept, share=entry.params_kept),
        Cell(shown=short(latency, "ms"), sort=latency, tip=_latency_tip(view)),
        Cell(shown=seconds_text(entry.seconds), sort=entry.seconds),
    ]


def _latency_rows(view: View) -> list[list[Cell]]:
    """A row for each batch size; how far the middle 90 % of calls spread."""
    before, rows = latency_of(view, "before"), []
    for place, row in enumerate(latency_of(view, "after")):
        sides = [before[place] if place < len(before) else {}, row]
        medians = [finite(side.get("median_ms")) for side in sides]
        texts = [_with_ends(side, median) for side, median in zip(sides, medians, strict=True)]
        rows.append(_cost_row(f"latency, batch {row.get('batch_size')}", medians, texts))
    return rows


def _with_ends(row: object, median: float | None) -> str:
    if median is None or not isinstance(row, dict):
        return "-"
    low, high = (finite(row.get(key)) for key in ("low_ms", "high_ms"))
    ends = "" if low is None or high is None else f" ({short(low)} to {short(high)})"
    return f"{short(median, 'ms')}{ends}"


def _latency_tip(view: View) -> str | None:
    told = [
        f"batch {row.get('batch_size')}: {_with_ends(row, finite(row.get('median_ms')))}"
        for row in latency_of(view, "after")
    ]
    return "\n".join(told) or None


def _cost_row(
    title: str, sides: Sequence[float | None], texts: Sequence[str], tips: Sequence[str | None] = (None, None)
) -> list[Cell]:
    dense, small = sides
    share = None if not dense or small is None else small / dense
    times = None if not share else 1 / share
    return [
        Cell(shown=title),
        *(Cell(shown=text, sort=value, tip=tip) for text, value, tip in zip(texts, sides, tips, strict=True)),
        Cell(shown=percent(share), sort=share, share=share),
        Cell(shown="-" if times is None else f"{times:.2f}{_TIMES}", sort=times),
    ]


def _card(title: str, figure: str, told: str) -> Markup:
    return tag("div", tag("p", title, class_="name"), tag("p", figure, class_="figure"), tag("p", told), class_="card")


def _spreading(merit: Merit, values: Sequence[float]) -> Cell:
    if not values:
        return Cell(shown="-")
    scaled = [merit.scale * value for value in values]
    return Cell(shown=with_spread(statistics.fmean(scaled), spread_of(scaled)), sort=statistics.fmean(scaled))


def _merit(view: View, merit: Merit, side: str) -> float | None:
    """Of the summary; of the list of runs where the run has not ended."""
    found = figure_of(view, side, merit.test)
    return getattr(view.entry, f"{merit.name}_{side}") if found is None else found


def _merit_text(merit: Merit, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{merit.scale * value:.2f}{' %' if merit.scale == 100 else f' {merit.unit}'}"


def _values(views: Sequence[View], side: str, key: str) -> list[float]:
    return [value for view in views if (value := figure_of(view, side, key)) is not None]


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
