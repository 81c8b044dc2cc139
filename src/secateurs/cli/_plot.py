"""`plot`: the pictures of runs and studies, drawn again."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from secateurs._errors import FileError
from secateurs.cli._console import out, say

if TYPE_CHECKING:
    from secateurs.reporting import Entry

__all__ = ["register"]


class _Format(StrEnum):
    png = "png"
    svg = "svg"
    pdf = "pdf"


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("plot")(_plot)


def _plot(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR]...", help="Run directories, or folders with some; default runs."),
    ] = None,
    formats: Annotated[list[_Format] | None, typer.Option("--format", help="May be given several times.")] = None,
    together: Annotated[
        Path | None,
        typer.Option("--together", metavar="DIR", help="Compare all these runs with each other, and write into DIR."),
    ] = None,
) -> None:
    """Draw the pictures and write the tables of runs and studies again, whether they have ended or not.

    They go where runs leave them: DIR/plots, and beside it. With --together, studies of subsets of the classes and
    searches that lie in several directories are compared as if they were one; nothing else is then drawn.

    Examples:

    * `secateurs plot`
    * `secateurs plot runs/subset_aware --format pdf --format svg`
    * `secateurs plot runs/resnet runs/mobilenet --together runs/both`
    """
    from secateurs.recipes import is_held
    from secateurs.reporting import catalogue, drawn_as, write_together

    for folder in folders or []:
        if not folder.is_dir():
            raise FileError(str(folder), wanted="a folder", got="none of that name", cure="Name a folder with runs.")
    entries = catalogue(folders or [Path("runs")], held=is_held)
    for entry in (entry for entry in entries if entry.status == "damaged"):
        say(f"left out: {entry.path}: {entry.error}")
    whole = [entry for entry in entries if entry.status != "damaged"]
    written: list[Path] = []
    for form in dict.fromkeys(formats or [_Format.png]):
        with drawn_as(form.value):
            written += _drawn(whole) if together is None else write_together(together.name, together, _paths(whole))
    for path in written:
        out().print(str(path), markup=False, soft_wrap=True)
    if not written:
        out().print("nothing to draw", markup=False)


def _drawn(entries: Sequence["Entry"]) -> Iterator[Path]:
    from secateurs.reporting import write_plots, write_study

    for entry in entries:
        if entry.kind == "study":
            yield from write_study(entry.path)
            yield from _drawn([run for run in entry.runs if run.status != "damaged"])
        else:
            yield from write_plots(entry.path)


def _paths(entries: Sequence["Entry"]) -> list[Path]:
    return [entry.path for entry in entries]
