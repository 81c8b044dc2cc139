"""What a study of masks found: accuracy against the fraction removed, and where the removed units were."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from secateurs.reporting._figure import GREY, colour_of, legend_beside, name_layers, new_figure, tidy
from secateurs.reporting._record import RunRecord, member_runs
from secateurs.reporting._spread import mean_spread, spread_of

__all__ = ["MaskRow", "mask_figure", "mask_rows", "mask_table", "rates_figure"]

_CHOSEN = "learned"


@dataclass(frozen=True, kw_only=True)
class MaskRow:
    """All seeds of one way to choose a mask, at one rate.

    Attributes:
        method: how it was chosen, such as "learned, global, channels".
        asked: the rate asked for.
        removed: fraction of units removed, mean over seeds.
        accuracies: test accuracy at the end, one for each seed.
        dense: test accuracy before, mean over seeds; None where no stage trained before the mask.
        layers: layer -> fraction of its units removed, mean over seeds.
    """

    method: str
    asked: float
    removed: float
    accuracies: tuple[float, ...]
    dense: float | None
    layers: Mapping[str, float]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.accuracies)

    @property
    def spread(self) -> float | None:
        """Sample standard deviation; None for a single seed."""
        return spread_of(self.accuracies)


def mask_rows(study: RunRecord) -> list[MaskRow]:
    """One row per method and rate, in the order of the study; empty where no run has masks."""
    groups: dict[tuple[str, float], list[tuple[Mapping[str, Any], float, float | None]]] = {}
    for _, run in member_runs(study):
        stages = [stage for stage in run.state.get("stages", []) if "mask" in (stage.get("results") or {})]
        after = (run.state.get("summary") or {}).get("after")
        if stages and after and "test_accuracy" in after:
            mask = stages[-1]["results"]["mask"]
            groups.setdefault((_method(mask), mask["asked"]), []).append((mask, after["test_accuracy"], _dense(run)))
    return [_row(method, asked, found) for (method, asked), found in groups.items()]


def mask_figure(study: RunRecord, rows: Sequence[MaskRow]) -> Any:
    """Accuracy against the fraction removed: a line for each method, bars of one standard deviation."""
    figure = new_figure(8, 4.5)
    axes = figure.subplots()
    for number, (method, group) in enumerate(_by_method(rows).items()):
        places = [100 * row.removed for row in group]
        means, spreads = [100 * row.mean for row in group], [100 * (row.spread or 0) for row in group]
        style = "-" if method.startswith(_CHOSEN) else "--"
        colour = colour_of(number)
        axes.errorbar(places, means, yerr=spreads, label=method, color=colour, linestyle=style, marker="o", capsize=3)
    known = [row.dense for row in rows if row.dense is not None]
    if known:
        axes.axhline(100 * statistics.fmean(known), color=GREY, linewidth=1, linestyle=":", label="dense")
    axes.set_xlim(0, 100)
    axes.set_xlabel("units removed, %")
    axes.set_ylabel("test accuracy, %")
    tidy(axes)
    legend_beside(axes)
    figure.suptitle(f"{study.name}: what masks leave", x=0.01, ha="left")
    return figure


def rates_figure(study: RunRecord, rows: Sequence[MaskRow]) -> Any:
    """The fraction removed of every layer, a panel for each rate and a line for each learned method."""
    learned = [row for row in rows if row.method.startswith(_CHOSEN)] or list(rows)
    rates = sorted({row.asked for row in learned})
    layers = list(dict.fromkeys(name for row in learned for name in row.layers))
    figure = new_figure(max(6, 2 + 0.32 * len(layers)), 1 + 2.4 * len(rates))
    panels = figure.subplots(len(rates), 1, sharex=True, squeeze=False)[:, 0]
    methods = list(_by_method(learned))
    for panel, rate in zip(panels, rates, strict=True):
        for row in learned:
            if row.asked == rate:
                colour = colour_of(methods.index(row.method))
                found = [100 * row.layers.get(name, float("nan")) for name in layers]
                panel.plot(range(len(layers)), found, color=colour, marker=".", label=row.method)
        panel.set_ylim(-3, 103)
        panel.set_ylabel(f"removed, %\n(asked {100 * rate:g})")
        tidy(panel)
    name_layers(panels[-1], layers)
    panels[0].legend(fontsize=8, frameon=False)
    figure.suptitle(f"{study.name}: where the removed units were", x=0.01, ha="left")
    return figure


def mask_table(rows: Sequence[MaskRow]) -> str:
    """The same numbers as Markdown."""
    lines = [
        "| method | asked | removed | runs | test accuracy, % | gap to dense, points |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        accuracy = mean_spread([100 * accuracy for accuracy in row.accuracies])
        gap = f"{100 * (row.dense - row.mean):.2f}" if row.dense is not None else "-"
        figures = f"{row.asked:g} | {row.removed:.3f} | {len(row.accuracies)} | {accuracy} | {gap}"
        lines.append(f"| {row.method} | {figures} |")
    lines += ["", "Fraction of each layer's units removed:", ""]
    for row in rows:
        shares = ", ".join(f"{name} {share:.2f}" for name, share in row.layers.items())
        lines.append(f"- {row.method}, asked {row.asked:g}: {shares}")
    return "\n".join(lines) + "\n"


def _method(mask: Mapping[str, Any]) -> str:
    words = [mask["origin"], f"{mask['granularity']}s"]
    if mask["origin"] != "random":
        words.insert(1, mask["scope"])
        words += [mask["rank"]] if mask["rank"] != "absolute" else []
        words += ["signed"] if mask["signed"] else []
    return ", ".join(words)


def _dense(run: RunRecord) -> float | None:
    trained = run.stages("train")
    return trained[0]["results"]["test_accuracy"] if trained else None


def _row(method: str, asked: float, found: Sequence[tuple[Mapping[str, Any], float, float | None]]) -> MaskRow:
    masks = [mask for mask, _, _ in found]
    dense = [accuracy for _, _, accuracy in found if accuracy is not None]
    return MaskRow(
        method=method,
        asked=asked,
        removed=statistics.fmean(mask["removed"] for mask in masks),
        accuracies=tuple(accuracy for _, accuracy, _ in found),
        dense=statistics.fmean(dense) if dense else None,
        layers={name: statistics.fmean(mask["layers"][name] for mask in masks) for name in masks[0]["layers"]},
    )


def _by_method(rows: Sequence[MaskRow]) -> dict[str, list[MaskRow]]:
    found: dict[str, list[MaskRow]] = {}
    for row in sorted(rows, key=lambda row: row.asked):
        found.setdefault(row.method, []).append(row)
    return found
