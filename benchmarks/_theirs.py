"""One model, Torch-Pruning: dependency graph, half of the channels of every group, and a forward pass."""

import copy
from importlib import import_module
from typing import Any

import torch
from torch import nn

from benchmarks._ours import best_seconds
from benchmarks._record import Record, peak_bytes
from benchmarks.libraries import Call
from secateurs.graph import untouched
from secateurs.surgery import tensors_in

__all__ = ["heads_of", "pruner_of", "theirs"]

_LAYERS = (nn.Linear, nn.modules.conv._ConvNd)


def theirs(model: nn.Module, call: Call, record: Record) -> None:
    """Fill `record`; whatever fails raises, and the stage says where."""
    before = peak_bytes()
    heads = heads_of(model, call)
    copies = [copy.deepcopy(model) for _ in range(3)]

    def job() -> nn.Module:
        fresh = copies.pop()
        record.stage("build")
        pruner = pruner_of(fresh, call, [fresh.get_submodule(path) for path in heads])
        record.stage("step")
        pruner.step()
        return fresh

    seconds, cut = best_seconds(job)
    params = [sum(tensor.numel() for tensor in each.parameters()) for each in (model, cut)]
    record.note(seconds=seconds, rise_bytes=peak_bytes() - before, ignored=heads, params=params[0])
    record.note(kept=params[1] / params[0])
    record.stage("forward")
    with torch.no_grad():
        cut.eval()(*call[0], **call[1])
    record.note(runs=True, peak_bytes=peak_bytes())
    record.stage("done")


def pruner_of(model: nn.Module, call: Call, ignored: list[nn.Module]) -> Any:
    """What cuts half of the channels of every group when its `step` is called."""
    pruning = import_module("torch_pruning")
    importance = pruning.importance.GroupMagnitudeImportance(p=2)
    # Positional and keyword arguments together are what only `forward_fn` can pass.
    options = {"forward_fn": lambda net, _: net(*call[0], **call[1])} if call[1] and call[0] else {}
    example = call[0] or call[1]
    return pruning.pruner.BasePruner(
        model, example, importance=importance, pruning_ratio=0.5, ignored_layers=ignored, **options
    )


def heads_of(model: nn.Module, call: Call) -> list[str]:
    """Paths of the layers whose outputs are the model's outputs; else the last layer that ran."""
    made: list[tuple[str, int]] = []
    kept: list[Any] = []

    def note(path: str) -> Any:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor):
                kept.append(output)
                made.append((path, output.untyped_storage().data_ptr()))

        return hook

    layers = {path: module for path, module in model.named_modules() if isinstance(module, _LAYERS)}
    handles = [module.register_forward_hook(note(path)) for path, module in layers.items()]
    try:
        with untouched(model), torch.no_grad():
            outputs = {tensor.untyped_storage().data_ptr() for tensor in tensors_in(model(*call[0], **call[1]))}
    finally:
        for handle in handles:
            handle.remove()
    found = sorted({path for path, storage in made if storage in outputs})
    return found or [path for path, _ in made[-1:]]
