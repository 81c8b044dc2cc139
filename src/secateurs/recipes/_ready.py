"""The recipes that come with the package."""

from dataclasses import dataclass
from pathlib import Path

from secateurs._errors import ConfigError
from secateurs._nearest import nearest_hint
from secateurs.recipes._yaml import read_yaml

__all__ = ["ReadyRecipe", "find_recipe", "ready_folder", "ready_recipes"]


@dataclass(frozen=True, kw_only=True)
class ReadyRecipe:
    """A recipe file that comes with the package: its bare name, its one line and where it is."""

    name: str
    description: str
    path: Path


def ready_recipes() -> tuple[ReadyRecipe, ...]:
    """All of them, by name."""
    found = []
    for path in sorted(ready_folder().glob("*.yaml")):
        content = read_yaml(path)
        description = content.get("description", "") if isinstance(content, dict) else ""
        found.append(ReadyRecipe(name=path.stem, description=str(description), path=path))
    return tuple(found)


def find_recipe(text: str) -> Path:
    """The file that `text` means: a path, or the bare name of a ready recipe."""
    path = Path(text)
    if _is_there(path):
        return path
    ready = {recipe.name: recipe.path for recipe in ready_recipes()}
    if text in ready:
        return ready[text]
    cure = nearest_hint(text, ready, f"Ready recipes: {', '.join(ready) or 'none'}.")
    raise ConfigError(
        text,
        wanted="a recipe file or the name of a ready recipe",
        got="a directory" if _is_there(path, directory=True) else "no such file",
        cure=cure,
    )


def _is_there(path: Path, *, directory: bool = False) -> bool:
    try:
        # Not only ordinary files: shells hand over pipes, as in `secateurs run <(...)`.
        return path.is_dir() if directory else path.exists() and not path.is_dir()
    except OSError:  # a name longer than any file system allows
        return False


def ready_folder() -> Path:
    """secateurs/recipes/ready in an installed wheel, the checkout's recipes/ in an editable install."""
    packaged = Path(__file__).parent / "ready"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "recipes"
