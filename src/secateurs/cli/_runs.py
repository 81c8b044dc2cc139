"""`runs`: what has been run, what runs, and what can be resumed."""

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from secateurs._duration import duration
from secateurs._errors import FileError
from secateurs.cli._console import out

if TYPE_CHECKING:
    from secateurs.reporting import Entry

__all__ = ["register"]

_WIDE, _MIDDLE = 112, 80  # columns that all and that the main figures need
_PIPED = 200  # a file has no width; nothing in it should be cut
_COLOURS = {"running": "cyan", "finished": "green", "stopped": "yellow", "failed": "red", "damaged": "red"}


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("runs")(_runs)


def _runs(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR]...", help="Run directories, or folders with some; default runs."),
    ] = None,
    members: Annotated[bool, typer.Option("--members", help="Show the runs of each study too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with everything in it.")] = False,
    subsets: Annotated[
        bool, typer.Option("--subsets", help="Print JSON of accuracy and GOps by network and subset of classes.")
    ] = False,
) -> None:
    """List runs: status, stage reached, accuracy or ELBO before and after, what is left of cost, time; newest first.

    A run that was interrupted or whose process is gone is `stopped`: `secateurs run ... --resume` goes on with it.

    Examples:

    * `secateurs runs`
    * `secateurs runs old_runs new_runs --members`
    * `secateurs runs --json`
    * `secateurs runs --subsets > logs.json`
    """
    from secateurs.recipes import is_held
    from secateurs.reporting import catalogue, subset_log

    for folder in folders or []:
        if not folder.is_dir():
            raise FileError(str(folder), wanted="a folder", got="none of that name", cure="Name a folder with runs.")
    entries = catalogue(folders or [Path("runs")], held=is_held)
    if subsets:
        typer.echo(json.dumps(subset_log([entry.path for entry in entries if entry.status != "damaged"]), indent=2))
        return
    if as_json:
        typer.echo(json.dumps({"version": 1, "runs": [_plain(entry) for entry in entries]}, indent=2))
        return
    shown = [row for entry in entries for row in (entry, *(entry.runs if members else ()))]
    console = out()
    if shown:
        _show(console, shown, console.width if console.is_terminal else _PIPED)
    else:
        where = ", ".join(map(str, folders or [Path("runs")]))
        console.print(f"no runs in {where}", markup=False, soft_wrap=True)


def _plain(entry: "Entry") -> dict[str, Any]:
    """Every field of an entry, as docs/running.md lists them."""
    plain = {field.name: getattr(entry, field.name) for field in fields(entry)}
    return {**plain, "path": str(entry.path), "runs": [_plain(run) for run in entry.runs]}


def _show(console: Console, entries: Sequence["Entry"], width: int) -> None:
    if width < _MIDDLE:
        for entry in entries:
            console.print(Text(_indented(entry, entries)), soft_wrap=True)
            console.print(Text("  ").append_text(_status(entry)).append(f"  {_line(entry)}"), soft_wrap=True)
    else:
        console.width = width
        console.print(_table(entries, all_columns=width >= _WIDE))
    for entry in entries:
        if entry.status in ("failed", "damaged") and entry.error:
            console.print(Text(f"{entry.path}: {entry.error.strip()}"), soft_wrap=True)


def _table(entries: Sequence["Entry"], *, all_columns: bool) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("run", overflow="fold")
    for title in ("status", "stage"):
        table.add_column(title, no_wrap=True)
    right = ("epochs", "before", "after", "params", "MACs", "time") if all_columns else ("after", "MACs", "time")
    for title in right:
        table.add_column(title, justify="right", no_wrap=True)
    if all_columns:
        table.add_column("started", no_wrap=True)
    for entry in entries:
        figures = _figures(entry)
        row: list[Text | str] = [Text(_indented(entry, entries)), _status(entry), Text(_stage(entry))]
        row += [figures[name] for name in right]
        if all_columns:
            row.append(_started(entry))
        table.add_row(*row)
    return table


def _figures(entry: "Entry") -> dict[str, str]:
    """What is kept is told as it is told in reports: as a fraction of what the first cut found."""
    return {
        "epochs": f"{entry.epochs}" if entry.epochs else "",
        "before": _percent(entry.accuracy_before, 2) or _nats(entry.elbo_before),
        "after": _percent(entry.accuracy_after, 2) or _nats(entry.elbo_after),
        "params": _percent(entry.params_kept, 1),
        "MACs": _percent(entry.macs_kept, 1),
        "time": duration(entry.seconds) if entry.seconds else "",
    }


def _line(entry: "Entry") -> str:
    """The figures in words, for a terminal too narrow for columns."""
    figures = _figures(entry)
    told = " to ".join(text for text in (figures["before"], figures["after"]) if text)
    title = "ELBO" if entry.accuracy_before is None and entry.accuracy_after is None else "accuracy"
    costs = [f"{figures[name]} of {name}" for name in ("params", "MACs") if figures[name]]
    parts = [_stage(entry), f"{title} {told}" if told else "", *costs, figures["time"]]
    return ", ".join(part for part in parts if part)


def _indented(entry: "Entry", entries: Sequence["Entry"]) -> str:
    """The path; a run that stands below its study, by its place in it."""
    study = next((other for other in entries if entry in other.runs), None)
    return str(entry.path) if study is None else f"  {entry.path.relative_to(study.path)}"


def _status(entry: "Entry") -> Text:
    return Text(entry.status, style=_COLOURS[entry.status])


def _stage(entry: "Entry") -> str:
    if entry.kind == "study":
        return f"{entry.done} of {entry.total} runs"
    if entry.status == "finished":
        return f"{entry.total} stages"
    return f"{entry.stage} ({entry.done + 1} of {entry.total})" if entry.stage else ""


def _percent(ratio: float | None, digits: int) -> str:
    return "" if ratio is None else f"{100 * ratio:.{digits}f} %"


def _nats(bound: float | None) -> str:
    return "" if bound is None else f"{bound:.2f} nats"


def _started(entry: "Entry") -> str:
    return (entry.started or "")[:16].replace("T", " ")
