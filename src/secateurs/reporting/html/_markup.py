"""Tags: text is escaped, markup is not, and nothing else can be put into a page."""

import html
from collections.abc import Iterable
from typing import TypeAlias

__all__ = ["Child", "Markup", "tag"]


class Markup(str):
    """Text that is HTML already. Only `tag` makes it from strings of unknown origin."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


Child: TypeAlias = "str | int | float | Iterable[Child] | None"

_VOID = {"meta", "input", "br", "hr"}


def tag(element: str, /, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """An element: `tag("td", "a < b", class_="right")`.

    Attributes that are None or False are left out, those that are True have no value; `class_` is `class`, and other
    underscores are hyphens. `viewBox` and its like keep their case.
    """
    written = "".join(
        f" {_name(key)}" if value is True else f' {_name(key)}="{_escaped(str(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if element in _VOID:
        return Markup(f"<{element}{written}>")
    return Markup(f"<{element}{written}>{_joined(children)}</{element}>")


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _joined(children: Iterable[Child]) -> str:
    return "".join(map(_written, children))


def _written(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, str | int | float):
        return _escaped(str(child))
    return _joined(child)


def _escaped(text: str) -> str:
    # Files may hold halves of surrogate pairs, which no encoding can write, and zero bytes, which HTML has none of.
    known = text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    return html.escape(known)
