"""The values of an old file: each is checked as it is read, and none goes missing without a word."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from secateurs._errors import ConfigError
from secateurs._nearest import nearest_hint
from secateurs.convert._conversion import Note, NoteKind
from secateurs.convert._key import Key

__all__ = ["OldFile"]

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_NOTHING = ("", "none", "null")


class OldFile:
    """Values by key, and notes on what became of them.

    Reading a key accounts for it; `finish` drops the keys that nothing has asked for.

    Args:
        where: names the file in errors.
        keys: that may be in it.
        values: that are in it, by lower-case name: text, or what YAML and JSON have.
        notes: that there are already.

    Raises:
        ConfigError: from every method that reads, where a value is not what its key takes.
    """

    def __init__(self, where: str, keys: Iterable[Key], values: Mapping[str, Any], notes: Iterable[Note] = ()) -> None:
        self._where = where
        self._keys = {key.name.lower(): key for key in keys}
        self._values = dict(values)
        self._read: set[str] = set()
        self._notes = list(notes)

    def __contains__(self, name: str) -> bool:
        """The file has the key, with something behind it."""
        return str(self._values.get(name.lower(), "")).strip().lower() not in _NOTHING

    def text(self, name: str, default: str | None = None) -> str:
        """Text that is not empty."""
        value = self._take(name, default)
        if not isinstance(value, str | int | float) or isinstance(value, bool) or not str(value).strip():
            raise self.wrong(name, "text")
        return str(value).strip()

    def choice(self, name: str, choices: Mapping[str, Any], default: str | None = None) -> Any:
        """What one of these words stands for; upper and lower case are the same."""
        word = str(self._take(name, default)).strip()
        found = {old.lower(): new for old, new in choices.items()}
        if word.lower() not in found:
            cure = nearest_hint(word, choices, "Write one of them, or the recipe by hand.")
            raise self.wrong(name, f"one of {', '.join(choices)}", cure)
        return found[word.lower()]

    def number(
        self, name: str, default: float | None = None, *, least: float = -math.inf, most: float = math.inf
    ) -> float:
        """A finite number within these bounds, both included."""
        value = self._take(name, default)
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number) or not least <= number <= most:
            raise self.wrong(name, f"a number{_bounds(least, most)}")
        return number

    def whole(self, name: str, default: int | None = None, *, least: float = -(2**53), most: float = 2**53) -> int:
        """A whole number within these bounds, both included."""
        number = self.number(name, default, least=least, most=most)
        if number != int(number):
            raise self.wrong(name, f"a whole number{_bounds(least, most)}")
        return int(number)

    def truth(self, name: str, default: bool = False) -> bool:
        """True or false; what is not there needs no note, the old programs took the default alike."""
        value = self._values.get(name.lower(), default)
        self._read.add(name.lower())
        word = str(value).strip().lower()
        if word not in (*_TRUE, *_FALSE):
            raise self.wrong(name, "true or false")
        return word in _TRUE

    def numbers(self, name: str) -> tuple[float, ...]:
        """Numbers with spaces or commas between, or a list; none where nothing is there."""
        value = self._values.get(name.lower(), "")
        self._read.add(name.lower())
        parts = value if isinstance(value, list | tuple) else str(value).replace(",", " ").split()
        try:
            numbers = tuple(math.nan if isinstance(part, bool) else float(part) for part in parts)
        except (TypeError, ValueError, OverflowError):
            numbers = (math.nan,)
        if not all(map(math.isfinite, numbers)):
            raise self.wrong(name, "numbers")
        return numbers

    def words(self, name: str) -> tuple[str, ...]:
        """Words with spaces between; none where nothing is there."""
        self._read.add(name.lower())
        return tuple(str(self._values.get(name.lower(), "")).split())

    def raw(self, name: str) -> Any:
        """The value as it is; None where there is none."""
        self._read.add(name.lower())
        return self._values.get(name.lower())

    def dropped(self, name: str, why: str) -> None:
        """The key has no place in the recipe."""
        self._note("dropped", name, why)

    def overruled(self, name: str, why: str) -> None:
        """Another key has the say."""
        self._note("overruled", name, why)

    def changed(self, name: str, why: str) -> None:
        """The recipe has it otherwise."""
        self._note("changed", name, why)

    def assumed(self, name: str, why: str) -> None:
        """The file says nothing of it."""
        self._note("assumed", name, why)

    def wrong(self, name: str, wanted: str, cure: str = "Correct it there.") -> ConfigError:
        """The error for a value that makes no sense."""
        value = self._values.get(name.lower())
        got = "nothing" if value is None or str(value).strip() == "" else repr(value)
        return ConfigError(f"{self._where}, {self._spelled(name)}", wanted=wanted, got=got, cure=cure)

    def finish(self, mode: str) -> tuple[Note, ...]:
        """All notes, those last whose keys nothing has asked for."""
        for name in self._values:
            if name not in self._read:
                why = self._keys[name].dropped or f"it has no say in this mode ({mode})"
                self._note("dropped", name, why)
        return tuple(self._notes)

    def _take(self, name: str, default: Any) -> Any:
        if name in self:
            self._read.add(name.lower())
            return self._values[name.lower()]
        if default is None:
            raise self.wrong(name, f"a value for {self._spelled(name)}", "Add the key.")
        self._read.add(name.lower())
        self.assumed(name, f"taken as {default}")
        return default

    def _note(self, kind: NoteKind, name: str, why: str) -> None:
        self._read.add(name.lower())
        value = self._values.get(name.lower())
        said = None if value is None else str(value)
        note = Note(kind=kind, key=self._spelled(name), value=said, why=why)
        if note not in self._notes:
            self._notes.append(note)

    def _spelled(self, name: str) -> str:
        key = self._keys[name.lower()]
        return f"[{key.section}] {key.name}" if key.section else key.name


def _bounds(least: float, most: float) -> str:
    bounds: Sequence[str] = [
        *([f"of at least {least:g}"] if abs(least) < 2**53 else []),
        *([f"of at most {most:g}"] if abs(most) < 2**53 else []),
    ]
    return "".join(f" {bound}" for bound in (" and ".join(bounds),) if bound)
