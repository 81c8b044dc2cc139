"""Cuts of a network to a share of its multiply-adds: by our criteria, with and without repair, and by Torch-Pruning.

Both tools take from the same layers. Torch-Pruning (1.6.1, on the path) takes ratios of channels: the least one that
removes the share asked for, counted on the network that is left, is found by bisection.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from functools import partial
from importlib import import_module
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import secateurs as sec

__all__ = ["Batches", "Cut", "cuts_of", "inner", "macs"]

Batches = list[tuple[Tensor, Tensor]]
Net = nn.Module
_EQUAL, _TOGETHER = {"scope": "layerwise"}, {"scope": "global"}


@dataclass(frozen=True, kw_only=True)
class _Ours:
    """A criterion, its options, and how units of several layers are compared."""

    criterion: str
    rules: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)


OURS: Mapping[str, _Ours] = {
    "Random, uniform": _Ours(criterion="random", rules=_EQUAL),
    "Magnitude L1, uniform": _Ours(criterion="magnitude", rules=_EQUAL, options={"p": 1}),
    "Magnitude L2, uniform": _Ours(criterion="magnitude", rules=_EQUAL),
    "Magnitude L2 over its mean, global": _Ours(criterion="magnitude", rules=_TOGETHER, options={"normalize": "mean"}),
    "LAMP, global": _Ours(criterion="lamp", rules=_TOGETHER),
    "BNScale, uniform": _Ours(criterion="bn_scale", rules=_EQUAL),
    "GeometricMedian, uniform": _Ours(criterion="geometric_median", rules=_EQUAL),
    "ActivationMean, uniform": _Ours(criterion="activation_mean", rules=_EQUAL),
    "APoZ, uniform": _Ours(criterion="apoz", rules=_EQUAL),
    "ActivationNorm, uniform": _Ours(criterion="activation_norm", rules=_EQUAL),
    "HRank, uniform": _Ours(criterion="hrank", rules=_EQUAL),
    "SynFlow, uniform": _Ours(criterion="synflow", rules=_EQUAL),
    "SNIP, global": _Ours(criterion="snip", rules=_TOGETHER),
    "GraSP, global": _Ours(criterion="grasp", rules=_TOGETHER),
    "Taylor, uniform": _Ours(criterion="taylor", rules=_EQUAL),
    "Taylor, global": _Ours(criterion="taylor", rules=_TOGETHER),
    "Fisher, global": _Ours(criterion="fisher", rules=_TOGETHER),
    "KronOBD, global": _Ours(criterion="kron_obd", rules=_TOGETHER),
    "KronOBS, global": _Ours(criterion="kron_obs", rules=_TOGETHER),
    "Reconstruction, uniform": _Ours(criterion="reconstruction", rules=_EQUAL),
    "Reconstruction, global": _Ours(criterion="reconstruction", rules=_TOGETHER),
    "Reconstruction, per MAC": _Ours(criterion="reconstruction", rules={**_TOGETHER, "per": "macs"}),
}
THEIRS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "Random": ("RandomImportance", {}),
    "Magnitude L1": ("MagnitudeImportance", {"p": 1}),
    "Magnitude": ("MagnitudeImportance", {"p": 2}),
    "GroupMagnitude": ("GroupMagnitudeImportance", {"p": 2}),
    "Taylor": ("TaylorImportance", {}),
    "Hessian": ("HessianImportance", {}),
    "FPGM": ("FPGMImportance", {}),
    "LAMP": ("LAMPImportance", {}),
}


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A way to cut; `make` does it."""

    name: str
    make: Callable[[], Net]


def cuts_of(
    model: Net, batches: Batches, remove: float, patterns: Sequence[str] = ("*",), seed: int = 0
) -> Iterator[Cut]:
    """All ways whose names match a pattern; each score is computed once, when first asked for, and the seed is that of
    the random ones."""
    graph = sec.trace(model, args=(batches[0][0][:1],))
    scored: dict[tuple[str, str], Any] = {}
    for name, row in OURS.items():
        row = replace(row, options={"seed": seed}) if row.criterion == "random" else row
        for repair in (False, True):
            make = partial(_ours, graph, batches, remove, row, scored, repair=repair)
            yield from _matching(f"ours: {name}{', repaired' if repair else ''}", make, patterns)
    for name in THEIRS:
        for scope in ("uniform", "global"):
            make_theirs = partial(_theirs, model, batches, remove, name, together=scope == "global", seed=seed)
            yield from _matching(f"Torch-Pruning: {name}, {scope}", make_theirs, patterns)


def _matching(name: str, make: Callable[[], Net], patterns: Sequence[str]) -> Iterator[Cut]:
    if any(fnmatch(name, pattern) for pattern in patterns):
        yield Cut(name=name, make=make)


def inner(model: Net) -> list[str]:
    """Layers that are cut: the first of each block, or where there are no blocks every convolution."""
    layers = {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}
    first = [name for name in layers if name.endswith((".conv1", ".fc1"))]
    return first or [name for name, module in layers.items() if isinstance(module, nn.Conv2d)]


def macs(model: Net, example: Tensor) -> int:
    """Of one image."""
    return sec.cost(model, args=(example[:1],)).macs


def _ours(
    graph: sec.Graph,
    batches: Batches,
    remove: float,
    row: _Ours,
    scored: dict[tuple[str, str], Any],
    *,
    repair: bool,
) -> Net:
    free = set(inner(graph.model))
    protect = [axis.name for axis in graph.axes if axis.name not in free]
    key = row.criterion, str(row.options)
    if key not in scored:
        scored[key] = sec.criteria.build(row.criterion, **row.options)(graph, batches, F.cross_entropy)
    plan = sec.select(graph, scored[key], {"macs": remove}, protect=protect, **row.rules)
    result = sec.apply(graph.model, plan, verify=False)
    return sec.repair(result, batches).model if repair else result.model


def _theirs(model: Net, batches: Batches, remove: float, name: str, *, together: bool, seed: int) -> Net:
    dense, low, high = macs(model, batches[0][0]), 0.0, 0.95
    best: Net | None = None
    gradients = _gradients(model, batches, name)
    for _ in range(9):
        ratio = (low + high) / 2
        torch.manual_seed(seed)
        cut = _at(ratio, model, batches[0][0][:1], name, gradients, together=together)
        enough = 1 - macs(cut, batches[0][0]) / dense >= remove
        low, high, best = (low, ratio, cut) if enough else (ratio, high, best)
    assert best is not None, f"Torch-Pruning's {name} does not reach {remove}"
    return best


def _at(
    ratio: float, model: Net, example: Tensor, name: str, gradients: Mapping[str, Tensor], *, together: bool
) -> Net:
    pruning = import_module("torch_pruning")
    cut = copy.deepcopy(model)
    kind, options = THEIRS[name]
    importance = getattr(pruning.importance, kind)(**options)
    free = set(inner(cut))
    kept = [m for n, m in cut.named_modules() if isinstance(m, nn.Conv2d | nn.Linear) and n not in free]
    pruner = pruning.pruner.BasePruner(
        cut,
        example,
        importance=importance,
        pruning_ratio=ratio,
        max_pruning_ratio=1.0,
        global_pruning=together,
        ignored_layers=kept,
    )
    for path, weight in cut.named_parameters():
        weight.grad = gradients[path].clone()
    pruner.step()
    cut.zero_grad()
    return cut


def _gradients(model: Net, batches: Batches, name: str) -> dict[str, Tensor]:
    """What Torch-Pruning's criteria of gradients ask for, by the weight's path: sums over all images for Taylor; for
    Hessian, which goes image by image, sums of squares over the first batch, as its documentation says (its own
    `accumulate_grad` keeps the last image's alone)."""
    model = copy.deepcopy(model)
    found = {path: torch.zeros_like(weight) for path, weight in model.named_parameters()}
    if name == "Taylor":
        for x, y in batches:
            F.cross_entropy(model(x), y).backward()
        found = {path: weight.grad for path, weight in model.named_parameters() if weight.grad is not None}
    elif name == "Hessian":
        for image, label in zip(*batches[0], strict=True):
            model.zero_grad()
            F.cross_entropy(model(image[None]), label[None]).backward()
            for path, weight in model.named_parameters():
                if weight.grad is not None:
                    found[path] += weight.grad.square()
    return found
