"""Small real studies for the tests: digits, an MLP or ResNet-8, seconds each."""

import json
from pathlib import Path
from typing import Any

from secateurs.recipes import Recipe, parse

TRAIN: dict[str, Any] = {"type": "train", "epochs": 2, "lr": 0.05}
PRUNE: dict[str, Any] = {"type": "prune", "remove": {"macs": 0.4}}
MEASURE: dict[str, Any] = {"type": "measure", "batch_sizes": [1, 8]}


def config(*stages: dict[str, Any], **values: Any) -> dict[str, Any]:
    """A recipe on a few hundred digits, as read from YAML."""
    return {
        "name": "small",
        "model": {"name": "mlp", "options": {"widths": [32, 16]}},
        "data": {"name": "digits", "limit": 300},
        "batches": {"size": 32},
        "device": "cpu",
        "threads": 1,
        "stages": [*stages, MEASURE],
        **values,
    }


def recipe(*stages: dict[str, Any], **values: Any) -> Recipe:
    """The same, checked."""
    return parse(config(*stages, **values), source="small.yaml")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file."""
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def epochs(path: Path) -> list[tuple[str, int]]:
    """(stage, epoch) of every line of metrics.jsonl."""
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [(row["stage"], row["epoch"]) for row in rows]


def weights(path: Path) -> dict[str, bytes]:
    """Every weight file of a run, by its place in the run directory."""
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.glob("stages/*/*.safetensors"))}
