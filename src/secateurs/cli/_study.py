"""`demo` and `run`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from secateurs._errors import Interrupted
from secateurs.cli._console import choose, complain, out, say
from secateurs.cli._place import place_of

__all__ = ["register"]

_Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Run directory; default runs/NAME, numbered where taken.")
]
_Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the run in DIR where it stopped; start where there is none.")
]
_Minutes = Annotated[
    float,
    typer.Option(
        "--checkpoint-minutes", metavar="MIN", min=0.001, help="Save training so often within an epoch, beside its end."
    ),
]
_Seed = Annotated[int | None, typer.Option("--seed", metavar="N", help="Seed of every random number, for one run.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("demo")(_demo)
    app.command("run")(_run)


def _demo(out: _Out = None, resume: _Resume = False, seed: _Seed = None) -> None:
    """Train a small network on handwritten digits, remove half of its MACs, retrain, measure: half a minute.

    The same as `secateurs run quickstart`.

    Examples:

    * `secateurs demo`
    * `secateurs demo --seed 1 --out runs/second`
    """
    _study("quickstart", [], out, resume, seed)


def _run(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A YAML file, or a name from `secateurs recipes`.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Values to set in the recipe, by dotted path.")
    ] = None,
    out: _Out = None,
    resume: _Resume = False,
    seed: _Seed = None,
    checkpoint_minutes: _Minutes = 10.0,
) -> None:
    """Carry out a recipe.

    Examples:

    * `secateurs run quickstart stages.0.epochs=5`
    * `secateurs run my.yaml model.weights=dense.safetensors --out runs/mine`
    * `secateurs run my.yaml --out runs/mine --resume`
    """
    _study(recipe, overrides or [], out, resume, seed, minutes=checkpoint_minutes)


def _study(
    name: str, overrides: list[str], where: Path | None, resume: bool, seed: int | None, *, minutes: float = 10.0
) -> None:
    from secateurs import recipes

    changes: dict[str, Any] = dict(recipes.parse_override(text) for text in overrides)
    if seed is not None:
        changes |= {"seed": seed, "seeds": None}
    path = recipes.find_recipe(name)
    content = recipes.read_yaml(path)
    choices = recipes.data_choices(content, changes)
    if choices and sys.stdin.isatty():
        changes["data.name"] = choose("Data set:", choices)
        overrides = [*overrides, f"data.name={changes['data.name']}"]
    recipe = recipes.parse(content, source=str(path), changes=changes)
    where = where or place_of(recipe.name, resume)
    try:
        options = recipes.RunOptions(resume=resume, progress=True, notify=say, checkpoint_minutes=minutes)
        recipes.run(recipe, where, options)
    except KeyboardInterrupt as stop:
        seeded = [] if seed is None else ["--seed", str(seed)]
        again = shlex.join(["secateurs", "run", name, *overrides, *seeded, "--out", str(where), "--resume"])
        saved = "".join(f" {note}" for note in getattr(stop, "__notes__", ()))
        if recipes.speaks():
            complain(f"{str(stop) or 'interrupted'}.{saved} Go on with: {again}")
        raise typer.Exit(stop.exit_code if isinstance(stop, Interrupted) else 130) from None
    if recipes.speaks():
        _show(where)


def _show(where: Path) -> None:
    from secateurs.reporting import read_run, result_lines, result_table

    run = read_run(where)
    console = out()
    console.print(result_table(run))
    for line in result_lines(run):
        console.print(line, markup=False)
    console.print(f"everything is in {where}", markup=False, soft_wrap=True)
