"""What a conversion gives: a recipe, and a line for everything that is not in it as it was."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import yaml

__all__ = ["Conversion", "Note", "NoteKind"]

NoteKind: TypeAlias = Literal["dropped", "overruled", "changed", "assumed"]
"""No place in a recipe; another key has the say; in the recipe, with another value or meaning; not in the file."""

_LONGEST = 80


@dataclass(frozen=True, kw_only=True)
class Note:
    """What became of one key.

    Attributes:
        kind: in a word.
        key: of the old file.
        value: that it had there, None where it was not there.
        why: in a sentence.
    """

    kind: NoteKind
    key: str
    value: str | None
    why: str

    def __str__(self) -> str:
        value = "" if self.value is None else f" = {_short(self.value)}"
        return f"{self.kind}: {self.key}{value}: {self.why}"


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """An old file as a recipe.

    Attributes:
        source: the old file.
        system: which program it was for.
        mode: what it asked that program to do.
        recipe: as read from YAML; `secateurs.recipes.parse` accepts it.
        notes: for every key that is not in the recipe as it was in the file.
    """

    source: str
    system: str
    mode: str
    recipe: Mapping[str, Any]
    notes: tuple[Note, ...]

    def text(self) -> str:
        """The recipe as YAML, with the notes as comments at its head."""
        said = [f"From {_short(self.source, 200)} ({self.system}: {self.mode}).", *map(str, self.notes)]
        head = "".join(f"# {line}\n" for line in said)
        # Innermost lists in one line each: pairs of a schedule read as pairs.
        body: str = yaml.safe_dump(
            dict(self.recipe), sort_keys=False, allow_unicode=True, width=110, default_flow_style=None
        )
        return head + body


def _short(value: str, longest: int = _LONGEST) -> str:
    """In one line that a comment and a terminal can hold."""
    line = "".join(part if part.isprintable() else ascii(part)[1:-1] for part in value)
    return line if len(line) <= longest else f"{line[: longest - 5]}[...]"
