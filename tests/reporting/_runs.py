"""Run directories written by hand."""

import json
from pathlib import Path
from typing import Any


def latency(factor: float) -> list[dict[str, Any]]:
    """Two rows, `factor` times as slow."""
    rows = ((1, 1.25), (64, 16.0))
    return [
        {
            "batch_size": size,
            "median_ms": ms * factor,
            "low_ms": ms * factor / 2,
            "high_ms": ms * factor * 2,
            "runs": 30,
        }
        for size, ms in rows
    ]


def side(accuracy: float, factor: float) -> dict[str, Any]:
    """Half of a summary."""
    return {
        "test_accuracy": accuracy,
        "params": round(80_000 * factor),
        "macs": round(2_000_000 * factor),
        "bytes": round(320_000 * factor),
        "latency_ms": 1.25 * factor,
        "latency": latency(factor),
    }


def summary() -> dict[str, Any]:
    """A cut of a half."""
    return {
        "before": side(0.986, 1.0),
        "after": side(0.9832, 0.5),
        "asked": {"macs": 0.49},
        "removed": {"macs": 0.5},
        "verified": 1.3e-16,
    }


def state() -> dict[str, Any]:
    """What run.json of a train, prune, retrain, prune study holds."""
    results = {"asked": {"macs": 0.49}, "removed": {"macs": 0.5}}
    first = [
        {"name": "conv1", "kind": "channel", "size": 16, "kept": 1},
        {"name": "fc", "kind": "hidden", "size": 8, "kept": 6},
    ]
    second = [{"name": "fc", "kind": "hidden", "size": 6, "kept": 3}]
    stages = [
        {"name": "00-train", "type": "train", "results": {}},
        {"name": "01-prune", "type": "prune", "results": {**results, "axes": first}},
        {"name": "02-retrain", "type": "train", "results": {}},
        {"name": "03-prune", "type": "prune", "results": {**results, "axes": second}},
    ]
    return {
        "name": "small",
        "seed": 3,
        "status": "finished",
        "stages": [{**stage, "status": "finished"} for stage in stages],
        "summary": summary(),
        "environment": {"hardware": "A processor", "threads": 2},
        "versions": {"torch": "2.13.0"},
    }


def write_run(path: Path, content: dict[str, Any], epochs: int = 3) -> Path:
    """A run directory with that run.json and so many epochs in each train stage."""
    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps(content))
    rows = [
        {
            "stage": stage,
            "epoch": epoch,
            "train_loss": 1 / (epoch + 1),
            "train_accuracy": 0.5,
            "validation_loss": None,
            "validation_accuracy": None,
        }
        for stage in ("00-train", "02-retrain")
        for epoch in range(epochs)
    ]
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
