"""Dotted overrides from the command line: `stages.0.epochs=3`."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from secateurs._errors import ConfigError
from secateurs.recipes._yaml import parse_yaml

__all__ = ["override", "parse_override"]

_DIGITS = 10
# So many keys down, the keys are dotted paths: those of a variant, of a data set, of a factor's choice.
_PATHS = {"variants": 2, "for_data": 2, "factors": 3}


def parse_override(text: str) -> tuple[str, Any]:
    """`a.b=value` as (path, value); the value is read as YAML."""
    path, equals, value = text.partition("=")
    if not equals or not all(path.split(".")):
        raise ConfigError(
            f"override {text!r}", wanted="KEY.KEY=VALUE", got=repr(text), cure="Write for example stages.0.epochs=3."
        )
    return path, parse_yaml(value, where=f"override {text!r}")


def override(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `config` with each dotted path of `changes` set to its value.

    Mappings that are not there yet are made, so that `data.limit=100` works on a recipe with no `data`;
    whether the keys mean anything is the validation's business.
    """
    result = copy.deepcopy(dict(config))
    for path, value in changes.items():
        _put(result, path, value)
    return result


def _put(root: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = _keys(root, path)
    node: Any = root
    for depth, part in enumerate(parents):
        place = ".".join(parents[: depth + 1])
        if isinstance(node, list):
            node = node[_index(node, part, place)]
        elif isinstance(node, dict):
            if node.get(part) is None:
                node[part] = {}
            node = node[part]
        else:
            _refuse(".".join(parents[:depth]), node, path)
    if isinstance(node, list):
        node[_index(node, last, path)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        _refuse(".".join(parents), node, path)


def _keys(root: Any, path: str) -> list[str]:
    """The path taken apart at its dots, but for those in keys that are dotted paths themselves, as variants have."""
    parts, keys, node = path.split("."), list[str](), root
    while parts:
        taken = 1
        if isinstance(node, dict):
            known = (end for end in range(len(parts), 0, -1) if ".".join(parts[:end]) in node)
            taken = next(known, len(parts) if _dotted_below(keys) else 1)
        keys.append(".".join(parts[:taken]))
        node, parts = node.get(keys[-1]) if isinstance(node, dict) else _entry(node, keys[-1]), parts[taken:]
    return keys


def _dotted_below(keys: Sequence[str]) -> bool:
    """Whether keys under `keys` are dotted paths: also those of variants that a data set brings."""
    return any(name in keys and len(keys) - keys.index(name) == depth for name, depth in _PATHS.items())


def _entry(node: Any, part: str) -> Any:
    known = isinstance(node, list) and part.isascii() and part.isdecimal() and len(part) < _DIGITS
    return node[int(part)] if known and int(part) < len(node) else None


def _index(values: Sequence[Any], part: str, place: str) -> int:
    # Python refuses to read numbers of thousands of digits.
    if part.isascii() and part.isdecimal() and len(part) < _DIGITS and int(part) < len(values):
        return int(part)
    raise ConfigError(
        place,
        wanted=f"an index from 0 to {len(values) - 1}" if values else "a list that is not empty",
        got=repr(part),
        cure="Count the list's entries from 0.",
    )


def _refuse(place: str, node: Any, path: str) -> None:
    raise ConfigError(
        place,
        wanted=f"a mapping or a list, because {path} leads through it",
        got=repr(node),
        cure=f"Set {place} itself, or correct the path.",
    )
