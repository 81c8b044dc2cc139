"""The pictures and the report that a run or a study ends with."""

from collections.abc import Callable
from pathlib import Path

from secateurs import _distributed
from secateurs._errors import ConfigError, SecateursError

__all__ = ["draw_run", "draw_study", "report_on"]


def draw_run(path: Path, notify: Callable[[str], None]) -> None:
    """Those of one run; without the plotting library it is a whole run all the same."""
    from secateurs.reporting import write_plots

    _draw(write_plots, path, notify)


def draw_study(path: Path, notify: Callable[[str], None]) -> None:
    """Those that compare the runs of a study, and its report."""
    from secateurs.reporting import write_study

    _draw(write_study, path, notify)
    report_on(path, notify)


def report_on(path: Path, notify: Callable[[str], None]) -> None:
    """DIR/report.html of a run or study that has ended; whatever stands in its way, that has ended well."""
    from secateurs.reporting.html import REPORT_FILE, write_report

    if not _distributed.is_first():
        return
    try:
        write_report([path], path / REPORT_FILE, held=lambda _: False)
    except SecateursError as error:
        notify(f"no report: {error}")


def _draw(write: Callable[[Path], object], path: Path, notify: Callable[[str], None]) -> None:
    if not _distributed.is_first():
        return
    try:
        write(path)
    except ConfigError as error:
        notify(f"no pictures: {error}")
