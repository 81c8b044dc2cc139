"""The pictures of a run, as files."""

from pathlib import Path

from secateurs.reporting._figure import save_figure
from secateurs.reporting._kept_plot import kept_figure
from secateurs.reporting._record import read_run
from secateurs.reporting._training_plot import training_figure

__all__ = ["write_plots"]


def write_plots(path: Path) -> tuple[Path, ...]:
    """Draw what the run in `path` has to show into DIR/plots; returns the files, maybe none.

    Raises:
        ConfigError: matplotlib is not installed.
        FileError: no run directory.
    """
    run = read_run(path)
    written = []
    if run.epochs:
        written.append(save_figure(training_figure(run), path / "plots" / "training.png"))
    if run.stages("prune"):
        written.append(save_figure(kept_figure(run), path / "plots" / "kept.png"))
    return tuple(written)
