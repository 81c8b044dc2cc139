"""Values as a recipe may hold them: finite numbers, printable text, lists and mappings, nested a little."""

import math
from collections.abc import Mapping
from typing import Any, NoReturn

from secateurs._errors import ConfigError

__all__ = ["DEEPEST", "check_plain"]

DEEPEST = 50
"""Levels of lists and mappings; everything that walks a recipe recurses, and Python's stack is not endless."""

_LONGEST_KEY = 200
_BITS = 63


def check_plain(value: Any, *, source: str, path: str = "", depth: int = 0) -> None:
    """Refuse what no option takes, before anything is done with it.

    Raises:
        ConfigError: with the dotted path of the value.
    """
    where = path or source
    if depth > DEEPEST:
        _refuse(where, f"at most {DEEPEST} levels of lists and mappings", "more", source)
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_text(where, str(key), "keys", source)
            if len(str(key)) > _LONGEST_KEY:
                _refuse(where, f"keys of at most {_LONGEST_KEY} characters", f"one of {len(str(key))}", source)
            check_plain(inner, source=source, path=f"{path}.{key}".lstrip("."), depth=depth + 1)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            check_plain(inner, source=source, path=f"{path}.{index}".lstrip("."), depth=depth + 1)
    elif isinstance(value, str):
        _check_text(where, value, "text", source)
    elif isinstance(value, float) and not math.isfinite(value):
        _refuse(where, "a finite number", repr(value), source)
    elif isinstance(value, int) and value.bit_length() > _BITS:
        # Not shown: Python refuses to write numbers of thousands of digits.
        _refuse(where, f"a whole number of at most {_BITS} bits", f"one of {value.bit_length()} bits", source)


def _check_text(where: str, text: str, what: str, source: str) -> None:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        _refuse(where, f"{what} of valid characters", repr(text[:60]), source)


def _refuse(where: str, wanted: str, got: str, source: str) -> NoReturn:
    raise ConfigError(where, wanted=wanted, got=got, cure=f"Correct it in {source}.")
