"""`report`: runs and studies as one page."""

from pathlib import Path
from typing import Annotated

import typer

from secateurs._errors import FileError
from secateurs.cli._console import out, say

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("report")(_report)


def _report(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR]...", help="Run directories, or folders with some; default runs."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where the page goes; default report.html in the one DIR, or here."),
    ] = None,
) -> None:
    """Write one HTML file about runs and studies, whatever state they are in: it needs no network and no other file.

    What came out, accuracy against cost with the Pareto front, training curves, units kept, what could not be cut and
    why, recipes, machines, and the command for each row. Runs write it by themselves at their end.

    Examples:

    * `secateurs report runs/quickstart`
    * `secateurs report runs/resnet runs/mobilenet --out both.html`
    """
    from secateurs.recipes import is_held
    from secateurs.reporting import catalogue
    from secateurs.reporting.html import REPORT_FILE, write_report

    places = folders or [Path("runs")]
    for folder in places:
        if not folder.is_dir():
            raise FileError(str(folder), wanted="a folder", got="none of that name", cure="Name a folder with runs.")
    target = file or (places[0] if len(places) == 1 else Path()) / REPORT_FILE
    if target.is_dir():
        raise FileError(
            str(target), wanted="the name of a file", got="a directory", cure=f"Write --out {target / REPORT_FILE}."
        )
    for entry in catalogue(places, held=is_held):
        if entry.status == "damaged":
            say(f"damaged: {entry.path}: {entry.error}")
    out().print(str(write_report(places, target, held=is_held)), markup=False, soft_wrap=True)
