"""YAML read strictly: safe types only, no key twice, and `1e-3` is a number."""

import re
from pathlib import Path
from typing import Any

import yaml

from secateurs._errors import ConfigError, FileError

__all__ = ["dump_yaml", "parse_yaml", "read_yaml"]


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without its two traps: silent duplicate keys and `1e-3` read as text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool):
                raise yaml.constructor.ConstructorError(None, None, "a key must be plain text", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands here twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


# YAML 1.1 wants a dot in a number with an exponent; people write learning rates without one.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def parse_yaml(text: str, *, where: str) -> Any:
    """The value that `text` holds; a `ConfigError` names the line of a syntax error."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"{where}, line {mark.line + 1}, column {mark.column + 1}" if mark else where
        problem = error.problem or error.context or "a syntax error"
        raise ConfigError(line, wanted="YAML", got=problem, cure="Correct that line.") from error
    except yaml.YAMLError as error:  # unreadable characters carry no line
        first_line = str(error).splitlines()[0]
        raise ConfigError(where, wanted="YAML text", got=first_line, cure="Save the file as UTF-8 text.") from error


def read_yaml(path: Path) -> Any:
    """The value in a YAML file."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            str(path), wanted="UTF-8 text", got=f"byte {error.start} that is not", cure="Save the file as UTF-8 text."
        ) from error
    except OSError as error:
        raise FileError(
            str(path), wanted="a recipe file", got=error.strerror or str(error), cure="Check the path."
        ) from error
    return parse_yaml(text, where=str(path))


def dump_yaml(value: Any) -> str:
    """`value` as YAML in the order of its keys."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
