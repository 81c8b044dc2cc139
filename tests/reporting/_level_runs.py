"""Studies in levels, written by hand in the format of `secateurs.recipes._level_format`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from secateurs._files import save_tensors
from secateurs.recipes._level_format import IMAGES_FILE, UNITMEM_FILE


@dataclass(frozen=True, kw_only=True)
class Method:
    """How a variant's runs come out: level n loses `drop` x (n + 1) of accuracy, and gets half of it back."""

    drop: float
    choice: str = "low"
    weights: bool = False
    measured: bool = True
    activations: bool = False


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How large everything is."""

    layers: Mapping[str, int] = field(default_factory=lambda: {"conv1": 4, "conv2": 8})
    levels: int = 2
    removed: int = 2
    images: int = 6
    side: int = 5
    channels: int = 1


DENSE = 0.9
"""Accuracy of the network before any level."""


def write_level_run(
    path: Path, method: Method, seed: int, shape: Shape | None = None, *, complete: bool = True
) -> Path:
    """A run of `levels`: trained, then level after level; without `complete` it ended in the last level's training."""
    shape = shape or Shape()
    left = {layer: list(range(size)) for layer, size in shape.layers.items()}
    stages, accuracy = [_stage("00-train", "train", _trained(DENSE))], DENSE
    for level in range(shape.levels):
        kind = "level_weights" if method.weights else "level"
        name = f"{len(stages):02d}-{kind}"
        folder = path / "stages" / name
        found = _seen(left, shape, seed, level)
        results = _level(method, shape, level, left) | _measured(found if method.measured else {})
        if method.measured:
            _write_tensors(folder, found, shape, method)
        after = accuracy - method.drop * (level + 1) - 0.02 * seed
        results |= {"before": _figures(accuracy, left), "after": _figures(after, left)}
        stages.append(_stage(name, kind, results))
        accuracy = (accuracy + after) / 2
        stages.append(_stage(f"{len(stages):02d}-train", "train", _trained(accuracy)))
    if not complete:
        stages[-1] |= {"status": "running", "results": None}
    path.mkdir(parents=True, exist_ok=True)
    state = {"name": "levels", "seed": seed, "status": "finished" if complete else "running", "stages": stages}
    (path / "run.json").write_text(json.dumps(state))
    return path


def write_level_study(
    path: Path, methods: Mapping[str, Method], seeds: Sequence[int], shape: Shape | None = None
) -> Path:
    """All methods with all seeds."""
    runs = [{"variant": name, "seed": seed, "path": f"{name}/{seed}"} for name in methods for seed in seeds]
    for name, method in methods.items():
        for seed in seeds:
            write_level_run(path / name / str(seed), method, seed, shape)
    state = {"name": "levels", "status": "finished", "runs": runs, "stages": []}
    (path / "run.json").write_text(json.dumps(state))
    return path


def _stage(name: str, kind: str, results: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "type": kind, "status": "finished", "results": results}


def _trained(accuracy: float) -> dict[str, Any]:
    return {"train_accuracy": 1.0, "validation_accuracy": accuracy + 0.01, "test_accuracy": accuracy}


def _figures(accuracy: float, left: Mapping[str, list[int]]) -> dict[str, Any]:
    units = sum(map(len, left.values()))
    return {"test_accuracy": accuracy, "params": 100 * units, "macs": 1000 * units}


def _level(method: Method, shape: Shape, level: int, left: dict[str, list[int]]) -> dict[str, Any]:
    """The level's results; its units are taken from `left`, the first of the fullest layer each."""
    everything, removed = sum(shape.layers.values()), {layer: list[int]() for layer in left}
    for _ in range(shape.removed):
        fullest = max(left, key=lambda layer: len(left[layer]))
        unit = left[fullest].pop(0)
        removed[fullest].append(unit)
    gone = everything - sum(map(len, left.values()))
    results: dict[str, Any] = {
        "level": level,
        "method": "random" if method.choice == "random" else "unitmem",
        "choice": method.choice,
        "target_sparsity": 100 * gone / everything - 0.5,
        "sparsity": 100 * gone / everything,
        "units": everything,
        "asked_units": shape.removed,
        "removed_count": shape.removed,
        "removed_units": removed,
        "layer_sizes": dict(shape.layers),
        "kept_units": {layer: len(units) for layer, units in left.items()},
    }
    if method.weights:  # ten for each unit, and half of them had nothing to do with it
        results |= {
            "removed_weights": {layer: 5 * len(units) for layer, units in removed.items()},
            "removed_units": {layer: [] for layer in removed},
            "kept_units": {layer: 10 * size - 5 * (size - len(left[layer])) for layer, size in shape.layers.items()},
            "removed_count": 5 * shape.removed,
            "units": 10 * everything,
            "sparsity": 50 * gone / everything,
        }
    return results


def _seen(left: Mapping[str, list[int]], shape: Shape, seed: int, level: int) -> dict[str, Tensor]:
    draws = torch.Generator().manual_seed(1000 * seed + level)
    found: dict[str, Tensor] = {"indices": 100 + 3 * torch.arange(shape.images)}
    for layer, units in left.items():
        found[f"{layer}.values"] = torch.rand(len(units), generator=draws, dtype=torch.float64)
        places = torch.randint(shape.images, (len(units),), generator=draws)
        found[f"{layer}.images"] = found["indices"][places]
        found[f"{layer}.units"] = torch.tensor(units)
        found[f"{layer}.activations"] = torch.randn(shape.images, len(units), generator=draws).relu()
    return found


def _measured(found: Mapping[str, Tensor]) -> dict[str, Any]:
    layers = [name.removesuffix(".values") for name in found if name.endswith(".values")]
    if not layers:
        return {"mean_unitmem": None, "by_layer": {}}
    values = {layer: found[f"{layer}.values"] for layer in layers}
    return {
        "mean_unitmem": float(torch.cat([*values.values()]).mean()),
        "by_layer": {layer: float(own.mean()) for layer, own in values.items()},
    }


def _write_tensors(folder: Path, found: Mapping[str, Tensor], shape: Shape, method: Method) -> None:
    kept = {name: own for name, own in found.items() if method.activations or not name.endswith(".activations")}
    save_tensors(folder / UNITMEM_FILE, kept)
    size = (shape.channels, shape.side, shape.side)
    levels = torch.arange(shape.images).view(-1, 1, 1, 1)  # image n is grey of level n
    images = levels.expand(-1, *size).to(torch.uint8)
    save_tensors(folder / IMAGES_FILE, {"indices": found["indices"].clone(), "images": images})
