"""`recipes`, `schema`, `--version`."""

import json

import typer

from secateurs._version import __version__
from secateurs.cli._console import out

__all__ = ["register", "show_version"]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("recipes")(_recipes)
    app.command("schema")(_schema)


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        out().print(f"secateurs {__version__}")
        raise typer.Exit


def _recipes() -> None:
    """List the recipes that come with the package.

    Example: `secateurs recipes`, then `secateurs run quickstart`.
    """
    from secateurs.recipes import ready_recipes

    recipes = ready_recipes()
    width = max((len(recipe.name) for recipe in recipes), default=0)
    for recipe in recipes:
        out().print(f"{recipe.name:<{width}}   {recipe.description}", markup=False, soft_wrap=True)


def _schema(sweep: bool = typer.Option(False, "--sweep", help="That of sweep files.")) -> None:
    """Print the JSON Schema of recipe files, for editors.

    Example: `secateurs schema > recipe.schema.json`
    """
    from secateurs.recipes import schema
    from secateurs.sweeps import sweep_schema

    typer.echo(json.dumps(sweep_schema() if sweep else schema(), indent=2))
