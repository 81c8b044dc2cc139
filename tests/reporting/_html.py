"""Run directories for reports, and pages taken apart."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from tests.reporting._runs import side, state, write_run

HOSTILE = "<script>alert(1)</script>\"'&\u202e\ud83d"
VOID = {"meta", "input", "br", "hr"}


def outline(name: str = "conv1") -> dict[str, Any]:
    """graph.json of three layers in a row; the middle one reads what the first makes."""
    member = {"dim": 0, "positions": 16}
    members = [
        {**member, "path": f"{name}.weight", "role": "produces"},
        {**member, "path": "block.fc.weight", "dim": 1, "role": "reads"},
    ]
    second = [
        {**member, "path": "block.fc.weight", "role": "produces"},
        {**member, "path": "block.out.weight", "dim": 1, "role": "reads"},
    ]
    modules = [(name, "Conv2d", 900), ("block.fc", "Linear", 90), ("block.out", "Linear", 10)]
    return {
        "format": 1,
        "network": "Net",
        "modules": [
            {"path": path, "type": kind, "macs": [macs, macs], "params": [9, 9]} for path, kind, macs in modules
        ],
        "axes": [
            {"name": name, "kind": "channel", "size": 16, "kept": 16, "exact": True, "members": members},
            {"name": "fc", "kind": "hidden", "size": 8, "kept": 8, "exact": True, "members": second},
        ],
        "fixed": [{"path": "block.out.weight", "dim": 0, "count": 10, "size": 10, "why": "an output of the model"}],
        "couplings": [],
        "notes": [],
    }


def timed() -> dict[str, Any]:
    """run.json as `state` has it, with the time of every stage."""
    content = state()
    return {**content, "stages": [{**stage, "seconds": 1.5} for stage in content["stages"]]}


def one_run(path: Path, *, accuracy: float = 0.9832, factor: float = 0.5, seed: int = 3, remove: float = 0.5) -> Path:
    """A finished run with everything that a report shows."""
    content: dict[str, Any] = {**timed(), "seed": seed}
    content["summary"] = {**content["summary"], "after": side(accuracy, factor)}
    write_run(path, content)
    (path / "graph.json").write_text(json.dumps(outline()))
    (path / "config.yaml").write_text(
        f"name: small\nseed: {seed}\nstages:\n- {{type: prune, remove: {{macs: {remove}}}}}\n"
    )
    return path


def study(path: Path, variants: dict[str, float], seeds: int = 2) -> Path:
    """A study of finished runs: variant to the fraction of the network that is left."""
    runs = []
    for variant, factor in variants.items():
        for seed in range(seeds):
            accuracy = 0.9 + 0.08 * factor + 0.002 * seed
            one_run(path / variant / str(seed), accuracy=accuracy, factor=factor, seed=seed, remove=1 - factor)
            runs.append({"variant": variant, "seed": seed, "path": f"{variant}/{seed}"})
    content: dict[str, Any] = {
        "name": "study",
        "status": "finished",
        "error": None,
        "runs": runs,
        "stages": [],
        "summary": {},
    }
    (path / "run.json").write_text(json.dumps(content))
    return path


class Parsed(HTMLParser):
    """The tags of a page; every one that opens is closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]

    @property
    def text(self) -> str:
        return "\n".join(self.words)
