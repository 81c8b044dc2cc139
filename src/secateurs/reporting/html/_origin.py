"""Where numbers come from: the command for each row, the resolved recipe, and the machine."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from secateurs.reporting.html._markup import Child, Markup, tag
from secateurs.reporting.html._tables import Cell, Column, table
from secateurs.reporting.html._views import Group, View

__all__ = ["commands_table", "config_block", "environment_table"]


def commands_table(groups: Sequence[Group]) -> Markup:
    """What to type for a row: the run again, from its resolved recipe, into a new directory."""
    columns = [
        Column(title="run", numeric=False),
        Column(title="commit", numeric=False),
        Column(title="command", numeric=False),
        Column(title="", numeric=False),
    ]
    rows = []
    for group in groups:
        places = [(f"{group.name}, all of it", group.record.path, group.record.state)] if group.study else []
        for view in group.views:
            places.append((f"{group.name} / {view.variant} / {view.seed}", view.entry.path, view.record.state))
        rows += [_command_row(*place) for place in places]
    return table("How to reproduce each row", columns, rows)


def config_block(title: str, text: str, like: str = "") -> Markup:
    """A recipe as it was resolved; where a similar one is at hand, only the lines that differ from it."""
    lines = text.splitlines()
    if like:
        known = set(like.splitlines())
        lines = [line for line in lines if line not in known] or ["(the same)"]
    button = tag("button", "Copy", type="button", class_="copy")
    return tag(
        "details", tag("summary", title), tag("div", button, tag("pre", "\n".join(lines), tabindex="0"), class_="code")
    )


def environment_table(groups: Sequence[Group]) -> Markup:
    """Machines and versions, each with the runs that it made."""
    found: dict[str, tuple[Mapping[str, Any], list[str]]] = {}
    for group in groups:
        for view in group.views:
            facts = _facts(view)
            key = json.dumps(facts, sort_keys=True, default=str)
            found.setdefault(key, (facts, []))[1].append(f"{group.name} / {view.variant} / {view.seed}")
    names = list(dict.fromkeys(name for facts, _ in found.values() for name in facts))
    columns = [Column(title="runs"), *(Column(title=name, numeric=False) for name in names)]
    rows = [
        [
            Cell(shown=str(len(runs)), sort=len(runs), tip="\n".join(runs[:20])),
            *(Cell(shown=str(facts.get(name, "-"))) for name in names),
        ]
        for facts, runs in found.values()
    ]
    return table("Environment", columns, rows)


def _command_row(name: str, path: Path, state: Mapping[str, Any]) -> list[Cell]:
    again = path.with_name(f"{path.name}-again")
    command = shlex.join(["secateurs", "run", str(path / "config.yaml"), "--out", str(again)])
    shown: Child = tag("code", command)
    return [
        Cell(shown=name),
        Cell(shown=_commit(state)),
        Cell(shown=shown, kind="command"),
        Cell(shown=tag("button", "Copy", type="button", class_="copy")),
    ]


def _facts(view: View) -> dict[str, Any]:
    state, facts = view.record.state, dict[str, Any]()
    for key in ("environment", "versions"):
        told = state.get(key)
        facts |= told if isinstance(told, dict) else {}
    return {**facts, "commit": _commit(state)}


def _commit(state: Mapping[str, Any]) -> str:
    commit = state.get("commit")
    if not isinstance(commit, dict):
        return "-"
    return f"{str(commit.get('revision'))[:12]}{', with changes' if commit.get('changed') else ''}"
