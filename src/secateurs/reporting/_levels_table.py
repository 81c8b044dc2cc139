"""Pruning in levels as Markdown."""

import statistics
from collections.abc import Mapping, Sequence

from secateurs.reporting._levels import Level, LevelRun, LevelRuns, by_method, levels_at
from secateurs.reporting._merit import Merit
from secateurs.reporting._spread import counts, mean_spread

__all__ = ["level_table"]


def level_table(runs: LevelRuns) -> str:
    """The methods beside each other, level by level; then all figures; then where the units went from.

    Means and sample standard deviations over seeds.
    """
    merit, groups = runs[0].merit, by_method(runs)
    parts = [_compared(f"right after the cut, without training: test {merit.title}", groups, "after")]
    if any(level.retrained is not None for run in runs for level in run.levels):
        parts.append(_compared(f"after training: test {merit.title}", groups, "retrained"))
    parts += [_everything(merit, groups), _where(groups)]
    return "\n".join(parts)


def _compared(title: str, groups: Mapping[str, Sequence[LevelRun]], name: str) -> str:
    """A row for each level, a column for each method; level - is the network before any."""
    lines = [f"{title[0].upper()}{title[1:]}", ""]
    lines += [f"| level | units removed, % | {' | '.join(groups)} |", "|---" * (2 + len(groups)) + "|"]
    first = [mean_spread([run.levels[0].before for run in group]) for group in groups.values()]
    lines.append(f"| - | 0.00 | {' | '.join(first)} |")
    for number in range(max(_depth(group) for group in groups.values())):
        levels = [levels_at(group, number) for group in groups.values()]
        cells = [mean_spread(_known(found, name)) for found in levels]
        lines.append(f"| {number} | {_gone(levels)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _gone(levels: Sequence[Sequence[Level]]) -> str:
    """Percent of the units; levels of weights stand beside those of units, and count where there are no others."""
    found = [level for own in levels for level in own]
    places = [level.place for level in found if not level.of_weights] or [level.place for level in found]
    low, high = f"{min(places):.2f}", f"{max(places):.2f}"
    return low if low == high else f"{low} to {high}"


def _everything(merit: Merit, groups: Mapping[str, Sequence[LevelRun]]) -> str:
    after, end = "right after", "after training"
    heads = ["method", "level", "runs", "sparsity, %", "removed", f"{after}, test{merit.suffix}"]
    heads += [f"{end}, validation{merit.suffix}", f"{end}, test{merit.suffix}"]
    heads += ["parameters", "MACs", "mean UnitMem before it"]
    lines = ["All figures; UnitMem is measured before the level removes anything.", ""]
    lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for method, group in groups.items():
        for number in range(_depth(group)):
            lines.append(f"| {' | '.join(_cells(method, levels_at(group, number)))} |")
    return "\n".join(lines) + "\n"


def _cells(method: str, levels: Sequence[Level]) -> list[str]:
    what = "weights" if levels[0].of_weights else "units"
    total = counts([level.everything for level in levels])
    return [
        method,
        str(levels[0].number),
        str(len(levels)),
        f"{statistics.fmean(level.sparsity for level in levels):.2f}",
        f"{counts([level.removed for level in levels])} of {total} {what}",
        mean_spread([level.after for level in levels]),
        mean_spread(_known(levels, "validated")),
        mean_spread(_known(levels, "retrained")),
        counts([level.params for level in levels]),
        counts([level.macs for level in levels]),
        mean_spread(_known(levels, "unitmem"), digits=4),
    ]


def _where(groups: Mapping[str, Sequence[LevelRun]]) -> str:
    """Fractions of each layer after the last level."""
    lines = ["Fraction of each layer removed by the last level:", ""]
    for method, group in groups.items():
        last = [run.levels[-1] for run in group]
        layers = dict.fromkeys(layer for level in last for layer in level.lost)
        shares = [
            (layer, statistics.fmean(level.lost[layer] for level in last if layer in level.lost)) for layer in layers
        ]
        lines.append(f"- {method}: {', '.join(f'{layer} {share:.2f}' for layer, share in shares)}")
    return "\n".join(lines) + "\n"


def _known(levels: Sequence[Level], name: str) -> list[float]:
    values = [getattr(level, name) for level in levels]
    return [value for value in values if value is not None]


def _depth(group: Sequence[LevelRun]) -> int:
    return max(len(run.levels) for run in group)
