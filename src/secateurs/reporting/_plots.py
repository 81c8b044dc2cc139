"""The pictures of a run and of a study, as files."""

from collections.abc import Sequence
from pathlib import Path

from secateurs._files import write_text
from secateurs.reporting._compute import write_compute
from secateurs.reporting._cuts import cut_runs, cut_table
from secateurs.reporting._cuts_plot import cuts_figure
from secateurs.reporting._figure import save_figure
from secateurs.reporting._gates import write_gates
from secateurs.reporting._image_rows import image_rows, image_rows_figure
from secateurs.reporting._kept_plot import kept_figure
from secateurs.reporting._levels_write import write_levels
from secateurs.reporting._masks import mask_figure, mask_rows, mask_table, rates_figure
from secateurs.reporting._record import RunRecord, member_runs, read_run
from secateurs.reporting._search_plot import search_figure, searches, searches_figure
from secateurs.reporting._subset_write import write_subsets
from secateurs.reporting._training_plot import training_figure

__all__ = ["write_plots", "write_study", "write_together"]


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
    written += write_gates(run)
    found = searches([(None, run)])
    for number, search in enumerate(found):
        ending = f"_{number}" if len(found) > 1 else ""
        written.append(save_figure(search_figure(run.name, search), path / "plots" / f"search{ending}.png"))
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
    written += write_compute(study)
    return (*written, *_subsets_and_searches(study.name, path, list(member_runs(study))))


def write_together(name: str, path: Path, folders: Sequence[Path]) -> tuple[Path, ...]:
    """Draw what the runs in several directories, of studies or of runs, show side by side, into the directory `path`.

    These are what runs say about subsets of the classes, and what their searches cost: every run tells by itself what
    it is, whichever study it belongs to.

    Raises:
        ConfigError: matplotlib is not installed.
        FileError: no run directory.
    """
    members: list[tuple[str | None, RunRecord]] = []
    for record in map(read_run, folders):
        members += member_runs(record) if "runs" in record.state else [(record.name, record)]
    return tuple(_subsets_and_searches(name, path, members))


def _subsets_and_searches(name: str, path: Path, members: Sequence[tuple[str | None, RunRecord]]) -> list[Path]:
    written = write_subsets(name, path, [run for _, run in members])
    found = searches(members)
    if found:
        written.append(save_figure(searches_figure(name, found), path / "plots" / "searches.png"))
    return written
