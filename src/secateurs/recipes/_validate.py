"""What pydantic finds wrong, told as one `ConfigError` with the YAML path and the nearest right name."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NoReturn, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from secateurs._errors import ConfigError, SecateursError
from secateurs._nearest import nearest_hint
from secateurs.recipes._plain import check_plain

__all__ = ["nearest", "validate"]

T = TypeVar("T")

_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument"}
_MISSING = {"missing", "missing_argument", "missing_keyword_only_argument"}


def validate(kind: type[T], value: Any, *, source: str) -> T:
    """`value`, as read from YAML, checked and turned into a `kind`; `source` names the file in errors."""
    check_plain(value, source=source)
    known: Any = kind  # a type is hashable, which type[T] does not tell
    adapter: TypeAdapter[T] = _adapter(known)
    # Through JSON, because there strict types still take a list for a tuple and text for a path.
    text = json.dumps(value, default=str)
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        _raise(error, json.loads(text), _schema(known), source)


@lru_cache(maxsize=8)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


@lru_cache(maxsize=8)
def _schema(kind: Any) -> Mapping[str, Any]:
    return _adapter(kind).json_schema()


def nearest(name: str, names: Sequence[str]) -> str:
    """A sentence naming the one of `names` that `name` was likely meant to be, or all of them."""
    return nearest_hint(name, names, f"Use one of: {', '.join(sorted(names))}.")


def _raise(error: ValidationError, raw: Any, schema: Mapping[str, Any], source: str) -> NoReturn:
    found = [(_resolve(raw, details), details) for details in error.errors()]
    # A union reports every branch; the branch that got furthest is the one that was meant.
    unknown = [pair for pair in found if pair[1]["type"] in _UNKNOWN or pair[1]["loc"][-1:] == ("[key]",)]
    path, details = max(unknown or found, key=lambda pair: len(pair[0]))
    where = ".".join(map(str, path)) or source
    if unknown:
        key, valid = str(path[-1]), _keys_at(raw, path[:-1], schema)
        raise ConfigError(
            where, wanted="a known key", got=repr(key), cure=f"{nearest(key, valid)} (in {source})"
        ) from error
    cause = _cause(details)
    if cause is not None:
        # An option's own check; it knows its name, and here is where that stands in the file.
        inner = cause.where.partition(".")[2]
        place = ".".join(part for part in (where if path else "", inner) if part) or source
        raise type(cause)(place, wanted=cause.wanted, got=cause.got, cure=cause.cure) from error
    wanted = " or ".join(dict.fromkeys(_wanted(other) for place, other in found if place == path))
    got = "nothing" if details["type"] in _MISSING else _short(details["input"])
    if details["type"] == "value_error":  # a rule over several keys, whose mapping is too long to show
        got = "something else"
    cure = f"Correct it in {source}."
    if details["type"] == "union_tag_invalid":
        where, got = f"{where}.type", repr(details["input"].get("type"))
        tags = str(details["ctx"]["expected_tags"]).replace("'", "").split(", ")
        cure = nearest(str(details["input"].get("type")), tags)
    raise ConfigError(where, wanted=wanted, got=got, cure=cure) from error


def _resolve(raw: Any, details: ErrorDetails) -> tuple[str | int, ...]:
    """The path in the YAML; what pydantic adds between (union branches, tags) leads nowhere in it."""
    path: list[str | int] = []
    node: Any = raw
    for part in details["loc"]:
        inside: Any = node if isinstance(node, dict) else dict(enumerate(node)) if isinstance(node, list) else {}
        if part in inside:
            node = inside[part]
            path.append(part)
    if details["type"] in _MISSING:
        path.append(details["loc"][-1])
    return tuple(path)


def _wanted(details: ErrorDetails) -> str:
    if details["type"] in _MISSING:
        return "a value"
    if details["type"] == "union_tag_not_found":
        return "a `type` key"
    if details["type"] == "union_tag_invalid":
        return f"one of {details['ctx']['expected_tags']}"
    if details["type"] == "too_short":
        return "a list that is not empty"
    if details["type"] == "string_pattern_mismatch":
        return "a name of letters, digits and . _ - only"
    message = details["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return "a mapping" if message in ("an object", "a valid dictionary") else message


def _cause(details: ErrorDetails) -> SecateursError | None:
    """The error of ours that a check raised inside pydantic, if it was one."""
    cause = getattr(details.get("ctx", {}).get("error"), "__cause__", None)
    return cause if isinstance(cause, SecateursError) else None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _keys_at(raw: Any, path: Sequence[str | int], schema: Mapping[str, Any]) -> list[str]:
    """The keys that may stand at `path`: the JSON Schema walked along the value."""
    nodes = [schema]
    value = raw
    for part in path:
        nodes = [below for node in nodes for below in _below(node, part, value, schema)]
        value = value[part]
    return sorted({key for node in nodes for plain in _plain(node, value, schema) for key in _names(plain)})


def _names(node: Mapping[str, Any]) -> list[str]:
    names = node.get("propertyNames", {})
    return [*node.get("properties", {}), *names.get("enum", [])]


def _below(
    node: Mapping[str, Any], part: str | int, value: Any, schema: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    for plain in _plain(node, value, schema):
        if isinstance(part, int) and "items" in plain:
            yield plain["items"]
        elif part in plain.get("properties", {}):
            yield plain["properties"][part]
        elif isinstance(plain.get("additionalProperties"), dict):
            yield plain["additionalProperties"]


def _plain(node: Mapping[str, Any], value: Any, schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """`node` with references followed and the branches of unions that fit `value`'s tag."""
    if "$ref" in node:
        yield from _plain(schema["$defs"][str(node["$ref"]).rsplit("/", 1)[-1]], value, schema)
        return
    tag = node.get("discriminator")
    if tag:
        chosen = tag["mapping"].get(value.get(tag["propertyName"]) if isinstance(value, dict) else None)
        branches = [{"$ref": chosen}] if chosen else []
    else:
        branches = [*node.get("anyOf", []), *node.get("oneOf", [])]
    if not branches:
        yield node
    for branch in branches:
        yield from _plain(branch, value, schema)
