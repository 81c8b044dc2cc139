"""Checks of model options, shared by all builders."""

from collections.abc import Sequence
from typing import Any

from secateurs._errors import ConfigError

__all__ = ["choice", "positive_int", "positive_ints", "scaled"]


def positive_int(option: str, value: Any) -> int:
    """`value` where it is a positive integer; else a `ConfigError` that names the option."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(
            f"model.{option}",
            wanted="a positive integer",
            got=repr(value),
            cure=f"Set model.{option} to 1 or more.",
        )
    return value


def positive_ints(option: str, value: Any) -> tuple[int, ...]:
    """`value` as a tuple where it is a sequence of positive integers (which may be empty)."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ConfigError(
            f"model.{option}",
            wanted="a list of positive integers",
            got=repr(value),
            cure=f"Write model.{option} as a list, [300, 100] for example.",
        )
    return tuple(positive_int(f"{option}.{position}", item) for position, item in enumerate(value))


def choice(option: str, value: Any, allowed: Sequence[str]) -> str:
    """`value` where it is one of `allowed`."""
    if not isinstance(value, str) or value not in allowed:
        raise ConfigError(
            f"model.{option}",
            wanted="one of " + ", ".join(allowed),
            got=repr(value),
            cure=f"Set model.{option} to one of these.",
        )
    return value


def scaled(channels: int, width: Any) -> int:
    """`channels` times the width factor, rounded, at least 1."""
    if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width < float("inf"):
        raise ConfigError(
            "model.width",
            wanted="a positive number",
            got=repr(width),
            cure="1 gives the paper's size.",
        )
    return max(1, round(channels * width))
