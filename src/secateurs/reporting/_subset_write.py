"""The files that tell of pruning for subsets of the classes."""

from collections.abc import Sequence
from pathlib import Path

from secateurs._files import write_text
from secateurs.reporting._figure import save_figure
from secateurs.reporting._record import RunRecord
from secateurs.reporting._subset_pairs import channel_differences
from secateurs.reporting._subset_plot import accuracy_figure, channels_figure, norms_figure, training_cost_figure
from secateurs.reporting._subset_runs import compares, removed_sets, subset_runs
from secateurs.reporting._subset_table import subset_table

__all__ = ["write_subsets"]


def write_subsets(name: str, path: Path, members: Sequence[RunRecord]) -> list[Path]:
    """`subsets.md` and pictures in the directory `path`; nothing where no network was cut for a subset.

    Args:
        name: of the study.
        path: where they go.
        members: the runs to compare.
    """
    runs = subset_runs(members)
    if not compares(runs):
        return []
    sets = removed_sets(members)
    differences = channel_differences(sets)
    write_text(path / "subsets.md", subset_table(runs, differences))
    plots = path / "plots"
    figure = accuracy_figure(name, runs, lambda run: run.accuracy, "of all classes")
    written = [save_figure(figure, plots / "subset_accuracy.png")]
    if any(run.among is not None for run in runs):
        figure = accuracy_figure(name, runs, lambda run: run.among, "among the subset's")
        written.append(save_figure(figure, plots / "subset_accuracy_among.png"))
    written.append(save_figure(training_cost_figure(name, runs), plots / "subset_training.png"))
    if any(each.before is not None for each in sets):
        written.append(save_figure(norms_figure(name, sets), plots / "subset_norms.png"))
    if differences:
        written.append(save_figure(channels_figure(name, differences), plots / "subset_channels.png"))
    return written
