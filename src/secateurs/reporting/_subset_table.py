"""Pruning aware of a subset of the classes against pruning on all of them, as Markdown."""

import statistics
from collections.abc import Iterator, Mapping, Sequence

from secateurs.reporting._spread import mean_spread
from secateurs.reporting._subset_pairs import Cell, Difference, Value, cells, deltas, dense_accuracy
from secateurs.reporting._subset_runs import WAYS, SubsetRun

__all__ = ["subset_table"]

_VALUES: Mapping[str, Value] = {
    "by the highest score of all classes": lambda run: run.accuracy,
    "by the highest score of the subset's classes": lambda run: run.among,
}


def subset_table(runs: Sequence[SubsetRun], differences: Sequence[Difference]) -> str:
    """The comparison first, then every figure, then what was cut.

    Means and sample standard deviations over seeds; differences are taken seed by seed.
    """
    parts = [
        "Test accuracy on the subset. A delta is what a network has more than the unpruned one that it comes from, "
        "which has not been trained on the subset.",
        "",
        *_legend(runs),
        *_comparison(runs),
        *_means(runs),
        *_everything(runs),
        *_channels(differences),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _legend(runs: Sequence[SubsetRun]) -> Iterator[str]:
    there = {run.way for run in runs}
    for way, words in WAYS.items():
        if way in there:
            yield f"- `{way}`: {words.removeprefix(f'{way}: ')}"
    yield ""


def _comparison(runs: Sequence[SubsetRun]) -> Iterator[str]:
    """Aware less the others, in points."""
    others = [way for way in ("agnostic", "agnostic_steps", "retrained") if any(run.way == way for run in runs)]
    aware = [cell for cell in _ordered(runs) if cell.way == "aware"]
    if not aware or not others:
        return
    for words, value in _VALUES.items():
        found = {
            (cell.network, cell.subset, cell.percent, way): deltas(runs, cell, way, value)
            for cell in aware
            for way in others
        }
        if not any(found.values()):
            continue
        yield f"## Aware less the others, points, {words}"
        yield ""
        yield f"| network | subset | removed, % | seeds | {' | '.join(f'less {way}' for way in others)} |"
        yield "|---" * (4 + len(others)) + "|"
        for cell in aware:
            own = [found[cell.network, cell.subset, cell.percent, way] for way in others]
            values = " | ".join(mean_spread(each) for each in own)
            yield f"| {cell.network} | {cell.subset} | {cell.percent} | {len(cell.runs)} | {values} |"
        rows = [[statistics.fmean(own) for place, own in found.items() if place[3] == way and own] for way in others]
        for name, of in (("mean", statistics.fmean), ("largest", max), ("least", min)):
            yield f"| **{name} of the rows** | | | | {' | '.join(f'{of(row):.2f}' if row else '-' for row in rows)} |"
        yield ""


def _means(runs: Sequence[SubsetRun]) -> Iterator[str]:
    """Delta to the unpruned network: mean and maximum over subsets and levels."""
    yield "## Delta to the unpruned network over all subsets and levels, points"
    yield ""
    yield "| network | way | mean | largest | least | by the subset's classes: mean | largest | least |"
    yield "|---|---|---|---|---|---|---|---|"
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in _ordered(runs):
        if cell.percent:
            found.setdefault((cell.network, cell.way), []).append(cell)
    for (network, way), own in found.items():
        texts = []
        for value in _VALUES.values():
            gains = [gain for cell in own for gain in _gains(runs, cell, value)]
            texts += [f"{of(gains):.2f}" if gains else "-" for of in (statistics.fmean, max, min)]
        yield f"| {network} | {way} | {' | '.join(texts)} |"
    yield ""


def _everything(runs: Sequence[SubsetRun]) -> Iterator[str]:
    yield "## All figures"
    yield ""
    heads = ["network", "subset", "removed, %", "way", "runs", "accuracy, %", "delta", "among the subset's, %", "delta"]
    heads += ["GOps per image", "MB", "training GOps", "s"]
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for cell in _ordered(runs):
        known = [[] if cell.way == "unpruned" else _gains(runs, cell, value) for value in _VALUES.values()]
        texts = [
            cell.network,
            cell.subset,
            str(cell.percent),
            cell.way,
            str(len(cell.runs)),
            mean_spread(cell.values(lambda run: run.accuracy)),
            mean_spread(known[0]),
            mean_spread(cell.values(lambda run: run.among)),
            mean_spread(known[1]),
            f"{statistics.fmean(run.gops for run in cell.runs):.4f}",
            f"{statistics.fmean(run.mb for run in cell.runs):.3f}",
            _mean(cell.values(lambda run: run.train_gops)),
            _mean([run.seconds for run in cell.runs]),
        ]
        yield f"| {' | '.join(texts)} |"
    yield ""


def _channels(differences: Sequence[Difference]) -> Iterator[str]:
    if not differences:
        return
    yield "## Channel difference of two cuts: 0, the same filters; 1, none in common"
    yield ""
    yield "| network | removed, % | fine-tuned before on | pairs | difference |"
    yield "|---|---|---|---|---|"
    for each in differences:
        values = mean_spread(each.values, 3)
        yield f"| {each.network} | {each.percent} | {each.kind} | {len(each.values)} | {values} |"


def _gains(runs: Sequence[SubsetRun], cell: Cell, value: Value) -> list[float]:
    dense = dense_accuracy(runs, cell.network, cell.subset, value)
    return [] if dense is None else [found - dense for found in cell.values(value)]


def _ordered(runs: Sequence[SubsetRun]) -> list[Cell]:
    networks, subsets, ways = (
        list(dict.fromkeys(getattr(run, name) for run in runs)) for name in ("network", "subset", "way")
    )
    ways.sort(key=list(WAYS).index)
    return sorted(
        cells(runs),
        key=lambda cell: (
            networks.index(cell.network),
            subsets.index(cell.subset),
            cell.percent,
            ways.index(cell.way),
        ),
    )


def _mean(values: Sequence[float]) -> str:
    if not values:
        return "-"
    mean = statistics.fmean(values)
    return f"{mean:,.0f}" if mean >= 10 else f"{mean:.2f}"
