"""The pictures of a run and of a study, as files."""

from pathlib import Path

from secateurs._files import write_text
from secateurs.reporting._cuts import cut_runs, cut_table
from secateurs.reporting._cuts_plot import cuts_figure
from secateurs.reporting._figure import save_figure
from secateurs.reporting._image_rows import image_rows, image_rows_figure
from secateurs.reporting._kept_plot import kept_figure
from secateurs.reporting._levels_write import write_levels
from secateurs.reporting._masks import mask_figure, mask_rows, mask_table, rates_figure
from secateurs.reporting._record import member_runs, read_run
from secateurs.reporting._training_plot import training_figure

__all__ = ["write_plots", "write_study"]


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
    if any("axes" in (stage.get("results") or {}) for stage in run.state.get("stages", [])):
        written.append(save_figure(kept_figure(run), path / "plots" / "kept.png"))
    written += write_levels(run, [(None, run)])
    for kind in ("reconstructions", "samples"):
        rows = image_rows(run, kind)
        if rows:
            written.append(save_figure(image_rows_figure(run, kind, rows), path / "plots" / f"{kind}.png"))
    return tuple(written)


def write_study(path: Path) -> tuple[Path, ...]:
    """Draw what the runs of the study in `path` show side by side; returns the files, maybe none.

    Raises:
        ConfigError: matplotlib is not installed.
        FileError: no run directory.
    """
    study = read_run(path)
    written = []
    written += write_levels(study, list(member_runs(study)))
    rows = mask_rows(study)
    # Levels are cuts too, with a table of their own.
    runs = [] if written else cut_runs(study)
    if rows:
        write_text(path / "masks.md", mask_table(rows))
        written.append(save_figure(mask_figure(study, rows), path / "plots" / "masks.png"))
        written.append(save_figure(rates_figure(study, rows), path / "plots" / "layer_rates.png"))
    if runs:
        write_text(path / "cuts.md", cut_table(runs))
        written.append(save_figure(cuts_figure(study, runs), path / "plots" / "cuts.png"))
    return tuple(written)
