"""Options of penalties in range."""

import math
from collections.abc import Sequence

from secateurs._errors import ConfigError

__all__ = ["check_choice", "check_positive"]


def check_positive(where: str, **values: float) -> None:
    """Refuse what is not a finite number above 0."""
    for name, value in values.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not 0 < value < math.inf:
            cure = f"Correct {name}."
            raise ConfigError(f"{where} {name}", wanted="a number above 0", got=repr(value), cure=cure)


def check_choice(where: str, **values: tuple[object, Sequence[str]]) -> None:
    """Refuse what is none of the choices."""
    for name, (value, choices) in values.items():
        if value not in choices:
            wanted = "one of " + ", ".join(map(repr, choices))
            raise ConfigError(f"{where} {name}", wanted=wanted, got=repr(value), cure="Take one of these.")
