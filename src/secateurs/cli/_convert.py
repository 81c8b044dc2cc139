"""`convert`: config files of earlier systems as recipes."""

from pathlib import Path
from typing import Annotated

import typer

from secateurs._errors import FileError
from secateurs._files import write_text
from secateurs.cli._console import say

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("convert")(_convert)


def _convert(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Config file: .ini, .json, .yaml or .yml.")],
    flags: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- FLAG...]", help="Flags of the old command line, after --; for .yaml only."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the recipe there instead of printing it.")
    ] = None,
) -> None:
    """Turn a config file of an earlier system into a recipe, and say what of it was dropped or overruled, and why.

    Examples:

    * `secateurs convert alexnet.ini --out alexnet.yaml`, then `secateurs run alexnet.yaml`
    * `secateurs convert conv4.yml -- --exp_mode pruning --prune-rate 0.5 --pmode channel --pscale global`
    * `secateurs convert config.json`
    """
    from secateurs.convert import convert

    made = convert(old, flags or ())
    for note in made.notes:
        say(str(note))
    if out is None:
        typer.echo(made.text(), nl=False)
        return
    if out.exists():
        cure = "Choose another name, or remove it first: it may hold your own changes."
        raise FileError(str(out), wanted="a new file", got="one that is there", cure=cure)
    write_text(out, made.text())
