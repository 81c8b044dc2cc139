"""YAML read strictly: safe types only, no key twice, and `1e-3` is a number."""

import re
from pathlib import Path
from typing import Any

import yaml

from secateurs._errors import ConfigError, FileError
from secateurs.recipes._plain import DEEPEST

__all__ = ["dump_yaml", "parse_yaml", "read_yaml"]

# Far above any study written by hand; a megabyte takes PyYAML seconds.
_MOST_BYTES = 2**20
_MOST_VALUES = 100_000


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without its traps.

    Silent duplicate keys, `1e-3` read as text, dates, tags that fail in their own ways, aliases that unfold to
    gigabytes, and nesting that exhausts the stack.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = self._size = 0
        self._sizes: dict[str, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """A node; counted once for every place where it stands, as whoever walks the value will meet it."""
        event: Any = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in self.anchors and event.anchor not in self._sizes:
                raise _wrong(f"*{event.anchor} inside of what it names", event)
            self._count(self._sizes.get(str(event.anchor), 0), event)
            return super().compose_node(parent, index)
        before = self._size
        self._count(1, event)
        self._depth += 1
        if self._depth > DEEPEST:
            raise _wrong(f"more than {DEEPEST} levels of lists and mappings", event)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if event.anchor is not None:
            self._sizes[event.anchor] = self._size - before
        return node

    def _count(self, values: int, event: Any) -> None:
        self._size += values
        if self._size > _MOST_VALUES:
            raise _wrong(f"more than {_MOST_VALUES:,} values, those behind aliases counted at each", event)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:
            # What PyYAML's constructors come to where an explicit tag does not fit, and at numbers past all bounds.
            kind = node.tag.rpartition(":")[2]
            problem = f"something that cannot be read as {kind}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool):
                raise yaml.constructor.ConstructorError(None, None, "a key must be plain text", key_node.start_mark)
            text = str(key)  # 1 and "1" are the same key once the recipe is checked
            if text in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {text!r:.80} stands here twice", key_node.start_mark
                )
            seen.add(text)
        return super().construct_mapping(node, deep)


def _wrong(problem: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.composer.ComposerError(None, None, problem, event.start_mark)


# YAML 1.1 wants a dot in a number with an exponent; people write learning rates without one.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)
# Dates are text, and what JSON does not know is nothing that an option takes.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if not tag.endswith(":timestamp")]
    for first, pairs in _Loader.yaml_implicit_resolvers.items()
}
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map")}
_Loader.yaml_constructors = {
    tag: construct for tag, construct in yaml.SafeLoader.yaml_constructors.items() if tag is None or tag in _TAGS
}


def parse_yaml(text: str, *, where: str) -> Any:
    """The value that `text` holds; a `ConfigError` names the line of a syntax error."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"{where}, line {mark.line + 1}, column {mark.column + 1}" if mark else where
        problem = error.problem or error.context or "a syntax error"
        raise ConfigError(line, wanted="YAML", got=problem, cure="Correct that line.") from error
    except (yaml.YAMLError, ValueError) as error:  # unreadable characters, or digits by the thousand, carry no line
        first_line = str(error).splitlines()[0]
        raise ConfigError(where, wanted="YAML text", got=first_line, cure="Save it as plain UTF-8 text.") from error


def read_yaml(path: Path) -> Any:
    """The value in a YAML file."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(
            str(path), wanted="UTF-8 text", got=f"byte {error.start} that is not", cure="Save the file as UTF-8 text."
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(str(path), wanted="a recipe file", got=reason, cure="Check the path.") from error
    if len(content) > _MOST_BYTES:
        cure = "Name a recipe; the largest have some kilobytes."
        raise ConfigError(str(path), wanted=f"at most {_MOST_BYTES:,} bytes of YAML", got="more", cure=cure)
    return parse_yaml(text, where=str(path))


def dump_yaml(value: Any) -> str:
    """`value` as YAML in the order of its keys."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
