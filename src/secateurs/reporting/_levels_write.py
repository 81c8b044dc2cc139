"""The files that tell of pruning in levels, of one run or of a study."""

from collections.abc import Sequence
from pathlib import Path

from secateurs._files import write_text
from secateurs.reporting._figure import save_figure
from secateurs.reporting._levels import Level, LevelRuns, level_runs
from secateurs.reporting._levels_images import memorised, memorised_figure
from secateurs.reporting._levels_layers import ends_of, lost_figure, unitmem_layers_figure, unitmem_units_figure
from secateurs.reporting._levels_plot import accuracy_figure, unitmem_figure
from secateurs.reporting._levels_table import level_table
from secateurs.reporting._levels_violin import violin_figure
from secateurs.reporting._record import RunRecord

__all__ = ["write_levels"]


def write_levels(record: RunRecord, members: Sequence[tuple[str | None, RunRecord]]) -> list[Path]:
    """`levels.md` and pictures of the levels of all `members`, (variant, run) each; nothing where there are none.

    Args:
        record: whose directory they are written to: that of a study, or the run itself, whose single units and images
            are then shown too.
        members: the runs to compare.
    """
    runs = level_runs(members)
    if not runs:
        return []
    write_text(record.path / "levels.md", level_table(runs))
    plots = record.path / "plots"
    written = [
        save_figure(accuracy_figure(record.name, runs), plots / "levels.png"),
        save_figure(lost_figure(record.name, runs), plots / "levels_layers.png"),
    ]
    if any(level.by_layer for run in runs for level in run.levels):
        written.append(save_figure(unitmem_figure(record.name, runs), plots / "unitmem.png"))
        written.append(save_figure(unitmem_layers_figure(record.name, runs), plots / "unitmem_layers.png"))
        if members[0][1] is record:
            written += _single(record.name, runs, plots)
    return written


def _single(name: str, runs: LevelRuns, plots: Path) -> list[Path]:
    """What shows single units or images, of every experiment of one run."""
    written: list[Path] = []
    for number, run in enumerate(runs):
        ending = f"_{number}" if len(runs) > 1 else ""
        measured = ends_of(run.levels)
        if measured:
            written.append(save_figure(unitmem_units_figure(name, run.levels), plots / f"unitmem_units{ending}.png"))
            written.append(save_figure(violin_figure(name, run.levels), plots / f"unitmem_violins{ending}.png"))
        for _, level in measured:
            written += _sheet(name, level, plots / f"unitmem_images{ending}_level_{level.number:02d}.png")
    return written


def _sheet(name: str, level: Level, file: Path) -> list[Path]:
    found = memorised(level)
    return [save_figure(memorised_figure(name, level, found), file)] if found else []
