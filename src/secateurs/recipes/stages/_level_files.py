"""The files of the published study, from what the stages of a run have left: see `_level_format`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from torch import Tensor

from secateurs._files import load_tensors, save_tensors, write_bytes, write_text
from secateurs.recipes._directory import RunDirectory
from secateurs.recipes._level_format import (
    ACTIVATIONS,
    CHECKPOINTS,
    EXPERIMENT,
    PRUNED_FILE,
    UNITMEM_FILE,
    UNITMEMS_FILE,
)
from secateurs.recipes.stages._base import MODEL_FILE, Step

__all__ = ["Activations", "write_experiment"]

Activations = Literal["none", "safetensors", "json"]


def write_experiment(
    directory: RunDirectory,
    number: int,
    levels: Sequence[Step],
    trainings: Sequence[Step],
    activations: Activations,
) -> None:
    """Bring `exp__N` up to date; all of it follows from finished stages, so that doing it again changes nothing.

    Args:
        directory: of the run.
        number: of the experiment in the run.
        levels: the stages that removed something, in order.
        trainings: the training behind each.
        activations: whether all activations are written, and how.
    """
    folder = directory.path / f"{EXPERIMENT}{number}"
    records = [directory.entry(level.name)["results"] for level in levels]
    pruned = {str(record["level"]): record["removed_units"] for record in records}
    write_text(folder / PRUNED_FILE, json.dumps(pruned) + "\n")
    for record, training in zip(records, trainings, strict=True):
        file = folder / CHECKPOINTS / f"pruned_retrained_model_{record['level']}.safetensors"
        if record is records[-1] or not file.exists():
            write_bytes(file, (directory.folder(training.name) / MODEL_FILE).read_bytes())
    files = {str(n): directory.folder(level.name) / UNITMEM_FILE for n, level in enumerate(levels)}
    seen = {level: load_tensors(file)[0] for level, file in files.items() if file.exists()}
    if seen:
        sizes: Mapping[str, int] = records[0]["layer_sizes"]
        values = {
            level: {layer: _pairs(tensors, layer, sizes[layer]) for layer in sizes} for level, tensors in seen.items()
        }
        write_text(folder / UNITMEMS_FILE, json.dumps(values) + "\n")
        _write_activations(folder, seen, activations)


def _pairs(tensors: Mapping[str, Tensor], layer: str, size: int) -> list[list[float | int]]:
    """[UnitMem, image index] for each unit of the original layer."""
    pairs: list[list[float | int]] = [[0.0, -1] for _ in range(size)]
    if f"{layer}.units" in tensors:
        columns = (tensors[f"{layer}.{name}"].tolist() for name in ("units", "values", "images"))
        for unit, value, image in zip(*columns, strict=True):
            pairs[unit] = [value, image]
    return pairs


def _write_activations(folder: Path, seen: Mapping[str, Mapping[str, Tensor]], activations: Activations) -> None:
    ending = ".activations"
    found = {
        level: {name.removesuffix(ending): tensor for name, tensor in tensors.items() if name.endswith(ending)}
        for level, tensors in seen.items()
    }
    if activations == "json":
        plain = {level: {layer: tensor.tolist() for layer, tensor in own.items()} for level, own in found.items()}
        write_text(folder / f"{ACTIVATIONS}.json", json.dumps(plain) + "\n")
    elif activations == "safetensors":
        flat = {f"{level}.{layer}": tensor for level, own in found.items() for layer, tensor in own.items()}
        save_tensors(folder / f"{ACTIVATIONS}.safetensors", flat)
