"""The tables that a run ends with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from secateurs._errors import FileError
from secateurs.reporting._record import RunRecord
from secateurs.reporting._spread import with_spread

__all__ = ["result_lines", "result_table"]


@dataclass(frozen=True, kw_only=True)
class _Figure:
    """One kind of number: its key in a summary, what people call it, and how it is written.

    `lost` is the unit of a difference, where that says more than a fraction.
    """

    key: str
    title: str
    scale: float
    pattern: str
    lost: str | None = None

    def text(self, value: float | None) -> str:
        return "-" if value is None else self.pattern.format(value * self.scale)


_FIGURES = (
    _Figure(key="test_accuracy", title="test accuracy", scale=100, pattern="{:.2f} %", lost="points"),
    _Figure(key="test_elbo", title="test ELBO, nats per image", scale=1, pattern="{:.2f}", lost="nats"),
    _Figure(key="test_reconstruction", title="  reconstruction, nats", scale=1, pattern="{:.2f}"),
    _Figure(key="test_kld", title="  divergence, nats", scale=1, pattern="{:.2f}"),
    _Figure(key="params", title="parameters", scale=1, pattern="{:,.0f}"),
    _Figure(key="macs", title="MACs", scale=1, pattern="{:,.0f}"),
    _Figure(key="expected_macs", title="MACs as gates decide", scale=1, pattern="{:,.0f}"),
    _Figure(key="bytes", title="bytes", scale=1, pattern="{:,.0f}"),
)
_LATENCY = _Figure(key="latency_ms", title="latency", scale=1, pattern="{:.3g} ms")
_SHRINKING = (*(figure for figure in _FIGURES if figure.key in ("params", "macs")), _LATENCY)


def result_table(run: RunRecord) -> Table:
    """Before, after and the fraction removed; for a study, mean and spread of every variant.

    Raises:
        FileError: the run has no results yet.
    """
    summary = run.state.get("summary") or {}
    if "variants" in summary:
        return _study_table(run, summary["variants"])
    if not summary.get("after"):
        raise FileError(
            str(run.path / "run.json"),
            wanted="a run with results",
            got=f"one that is {run.state.get('status', 'unknown')}",
            cure="Finish it with --resume.",
        )
    return _run_table(run, summary)


def result_lines(run: RunRecord) -> list[str]:
    """What belongs beside the table: what was asked, the proof, and where it ran."""
    summary = run.state.get("summary") or {}
    lines = []
    asked, removed = summary.get("asked") or {}, summary.get("removed") or {}
    for name, ratio in asked.items():
        lines.append(f"asked to remove {100 * ratio:.4g} % of {name}, removed {100 * removed[name]:.4g} %")
    if summary.get("verified") is not None:
        lines.append(f"verified: the cut model equals the masked dense one, relative error {summary['verified']:.1e}")
    elif asked:
        lines.append("not verified")
    places, versions = run.state.get("environment") or {}, run.state.get("versions") or {}
    if places:
        where = places.get("accelerator", places.get("hardware"))
        threads = "1 thread" if places.get("threads") == 1 else f"{places.get('threads')} threads"
        lines.append(f"on {where}, {threads}, torch {versions.get('torch')}")
    return lines


def _run_table(run: RunRecord, summary: Mapping[str, Any]) -> Table:
    before, after = summary.get("before"), summary["after"]
    table = Table(title=f"{run.name}, seed {run.state.get('seed')}", title_justify="left")
    table.add_column("")
    for title in ("before", "after", "removed") if before else ("measured",):
        table.add_column(title, justify="right")
    for figure in _FIGURES:
        values = [side.get(figure.key) for side in (before, after) if side]
        if all(value is None for value in values):
            continue
        table.add_row(figure.title, *map(figure.text, values), *([_change(figure, *values)] if before else []))
    for index, row in enumerate(after.get("latency", [])):
        rows = [side["latency"][index] for side in (before, after) if side]
        title = f"latency, batch {row['batch_size']}"
        medians = [each["median_ms"] for each in rows]
        table.add_row(title, *map(_LATENCY.text, medians), *([_change(_LATENCY, *medians)] if before else []))
        table.add_row("  middle 90 %", *map(_spread, rows))
        if all("gops_per_s" in each for each in rows):  # runs of earlier versions have none
            table.add_row(f"  GOps/s{_with_threads(row)}", *(f"{each['gops_per_s']:.3g}" for each in rows))
    return table


def _with_threads(row: Mapping[str, Any]) -> str:
    threads = row.get("threads")
    return "" if threads is None else f", {threads} thread{'s' if threads > 1 else ''}"


def _spread(row: Mapping[str, float]) -> str:
    """5th and 95th percentile."""
    return f"{row['low_ms']:.3g} to {row['high_ms']:.3g} ms"


def _change(figure: _Figure, before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return "-"
    if figure.lost is not None:  # a difference of percentages, as people compare them, or of nats
        return f"{figure.scale * (before - after):.2f} {figure.lost}"
    return f"{100 * (1 - after / before):.1f} %" if before else "-"


def _study_table(run: RunRecord, variants: Mapping[str, Any]) -> Table:
    """One line for each variant: how good its runs are, and what the means of the rest have lost."""
    merit = next((figure for figure in _FIGURES[:2] if any(figure.key in v["after"] for v in variants.values())), None)
    assert merit is not None
    unit = ", %" if merit.scale == 100 else ""
    title = f"{run.name}: {merit.title}, mean ± standard deviation; fractions removed"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)  # a plain box leaves room for names
    table.add_column("variant", no_wrap=True)
    for name in ("runs", f"before{unit}", f"after{unit}", "params", "MACs", "latency"):
        table.add_column(name, justify="right", no_wrap=True)
    for variant, sides in variants.items():
        before, after = sides["before"], sides["after"]
        table.add_row(
            variant,
            str(after["params"]["runs"]),
            _spreading(merit, before.get(merit.key)),
            _spreading(merit, after.get(merit.key)),
            *(_change(figure, _mean(before, figure), _mean(after, figure)) for figure in _SHRINKING),
        )
    return table


def _mean(side: Mapping[str, Mapping[str, float]], figure: _Figure) -> float | None:
    return side[figure.key]["mean"] if figure.key in side else None


def _spreading(figure: _Figure, found: Mapping[str, float] | None) -> str:
    if found is None:
        return "-"
    spread = None if found["spread"] is None else figure.scale * found["spread"]
    return with_spread(figure.scale * found["mean"], spread)
