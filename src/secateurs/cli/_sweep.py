"""`sweep`."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from secateurs._errors import Interrupted
from secateurs.cli._console import complain, out, say
from secateurs.cli._place import place_of

__all__ = ["register"]

_PIPED = 200  # a file has no width; nothing in it should be cut


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("sweep")(_sweep)


def _sweep(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A sweep file, or the name of a ready sweep.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Values to set in the file, by dotted path.")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option("--ray", metavar="auto|ADDRESS", help="Run on a Ray cluster: this machine's, or that address."),
    ] = None,
    where: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Directory; default runs/NAME, numbered where taken.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the sweep in DIR; start where there is none.")
    ] = False,
    checkpoint_minutes: Annotated[
        float, typer.Option("--checkpoint-minutes", metavar="MIN", min=0.001, help="Save trainings so often.")
    ] = 10.0,
) -> None:
    """Try a recipe with many values: a grid, values drawn at random, or values that Optuna proposes.

    Each trial is an ordinary run in DIR/TRIAL/SEED. One that fails does not end the sweep.

    Examples:

    * `secateurs sweep digits`
    * `secateurs sweep my_sweep.yaml trials=50 --out runs/tuning`
    * `secateurs sweep my_sweep.yaml --ray auto --out /shared/tuning --resume`
    """
    from secateurs import recipes, sweeps

    path = sweeps.find_sweep(study)
    changes: dict[str, Any] = dict(recipes.parse_override(text) for text in overrides or [])
    sweep = sweeps.parse_sweep(recipes.read_yaml(path), source=str(path), changes=changes, home=path.parent)
    where = where or place_of(sweep.name, resume)
    try:
        options = sweeps.SweepOptions(
            resume=resume, ray=ray, progress=True, notify=say, checkpoint_minutes=checkpoint_minutes
        )
        state = sweeps.run_sweep(sweep, where, options)
    except KeyboardInterrupt as stop:
        on_ray = [] if ray is None else ["--ray", ray]
        again = shlex.join(["secateurs", "sweep", study, *(overrides or []), *on_ray, "--out", str(where), "--resume"])
        complain(f"{str(stop) or 'interrupted'}. Go on with: {again}")
        raise typer.Exit(stop.exit_code if isinstance(stop, Interrupted) else 130) from None
    console = out()
    console.width = console.width if console.is_terminal else _PIPED
    console.print(sweeps.result_table(state, console.width))
    for line in sweeps.result_lines(state):
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"everything is in {where}", markup=False, soft_wrap=True)
