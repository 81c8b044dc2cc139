"""A page that is one file: style and script inside, and nothing that it may load."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from secateurs.reporting._colours import DARK, PALETTE
from secateurs.reporting.html._markup import Child, Markup, tag

__all__ = ["Section", "page"]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page that its navigation leads to."""

    anchor: str
    title: str
    content: Child
    level: int = 2


def page(title: str, lead: Child, sections: Sequence[Section]) -> str:
    """The HTML; browsers refuse whatever is not in it, and scripts other than its own."""
    script = _read("script.js")
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{_digest(script)}'"
    shown = [section for section in sections if section.content]
    links = [tag("a", section.title, href=f"#{section.anchor}") for section in shown]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Markup(style())),
    )
    bar = tag(
        "header",
        tag("strong", title),
        tag("nav", links, aria_label="Sections"),
        tag("button", "Dark", id="theme", type="button"),
        class_="bar",
    )
    body = [
        tag("section", tag("h2", section.title), section.content, id=section.anchor, aria_label=section.title)
        for section in shown
    ]
    made = tag(
        "html",
        head,
        tag(
            "body",
            bar,
            tag("main", tag("h1", title), tag("p", lead, class_="lead"), body),
            tag("div", id="tip", role="status"),
            tag("script", Markup(script)),
        ),
        lang="en",
    )
    return f"<!doctype html>\n{made}\n"


@cache
def style() -> str:
    """The style sheet, with the colours of methods."""
    light, dark = (_colours(palette) for palette in (PALETTE, DARK))
    return _read("style.css").replace("/*COLOURS*/", light + dark.replace(".c", ':root[data-theme="dark"] .c'))


def _colours(palette: Sequence[str]) -> str:
    return "".join(f".c{number} {{ --c: {colour}; }}\n" for number, colour in enumerate(palette))


@cache
def _read(name: str) -> str:
    return (files("secateurs.reporting.html") / name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
