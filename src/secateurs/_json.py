"""JSON from disk, read strictly: no key twice, finite numbers, bounded size and depth."""

import json
import math
from pathlib import Path
from typing import Any

__all__ = ["parse_json", "read_json"]

_MOST_BYTES = 2**28  # a plan that removes half of a network of 10^11 parameters has a tenth of that
_DEEPEST = 64


def parse_json(text: str | bytes, *, finite: bool = True) -> Any:
    """The value that `text` holds; with NaN and infinities, which JSON itself has not, where `finite` is off.

    Raises:
        ValueError: no JSON, or none that this program writes.
    """
    if not isinstance(text, str | bytes):
        raise ValueError(f"JSON as text wanted, got {type(text).__name__}")
    try:
        number = _finite if finite else float
        value = json.loads(text, object_pairs_hook=_object, parse_float=number, parse_constant=number)
    except RecursionError as error:
        raise ValueError(f"more than {_DEEPEST} levels") from error
    _check_depth(value)
    return value


def read_json(path: Path) -> Any:
    """The value in a JSON file.

    Raises:
        OSError: a file that cannot be read.
        ValueError: no JSON, or none that this program writes.
    """
    if path.exists() and not path.is_file():
        raise ValueError("no ordinary file")  # reading a device or a pipe may never end
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"more than {_MOST_BYTES:,} bytes")
    return parse_json(content.decode())


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("the same key twice")
    return made


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text:.20}")
    return value


def _check_depth(value: Any) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(_DEEPEST):
        inside = (inner for outer in level for inner in (outer.values() if isinstance(outer, dict) else outer))
        level = [inner for inner in inside if isinstance(inner, dict | list)]
        if not level:
            return
    raise ValueError(f"more than {_DEEPEST} levels")
