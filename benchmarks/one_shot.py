"""Accuracy right after a cut, without retraining: our criteria with and without repair, and Torch-Pruning's.

    python -m benchmarks.one_shot --weights cifar10_resnet20.safetensors --data FOLDER [--network resnet20]
        [--remove 0.5] [--calibration 1024] [--test 10000] [--held-out] [--write]

Every row removes at least that share of the multiply-adds, counted on the network that is left, from the inner channels
of the blocks: the zero-padded shortcuts of this network keep its stream. Torch-Pruning (1.6.1, on the path) takes
ratios of channels; the least ratio that reaches the share is found by bisection. All rows see the same training images:
for scores and repair the first `--calibration`, for statistics of batch norms the first 2,048. Three accuracies: as
cut, or repaired; with statistics replaced by those of these images; and with statistics moved by what the cut changed
in them, as repair does, which spares them the difference between augmented and plain images. `--held-out` measures on
training images 4,000 to 6,000 instead: for choosing, so that test images choose nothing. `--write` puts the table into
docs/results/one_shot.md.
"""

import argparse
import copy
import platform
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

import secateurs as sec
from benchmarks.eigen import images, processor

RESULT = Path(__file__).parent.parent / "docs" / "results" / "one_shot.md"
RENEW = 2048
HELD_OUT = slice(4000, 6000)
Batches = list[tuple[Tensor, Tensor]]
Net = nn.Module
OURS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "magnitude, uniform": ("magnitude", {"scope": "layerwise"}),
    "activation_norm, uniform": ("activation_norm", {"scope": "layerwise"}),
    "taylor, global": ("taylor", {}),
    "reconstruction, uniform": ("reconstruction", {"scope": "layerwise"}),
    "reconstruction, global": ("reconstruction", {}),
    "reconstruction, global per MAC": ("reconstruction", {"per": "macs"}),
}
THEIRS = {
    "Magnitude": ("MagnitudeImportance", {"p": 2}),
    "GroupMagnitude": ("GroupMagnitudeImportance", {"p": 2}),
    "Taylor": ("TaylorImportance", {}),
    "Hessian": ("HessianImportance", {}),
    "FPGM": ("FPGMImportance", {}),
    "LAMP": ("LAMPImportance", {}),
}


def inner(model: Net) -> list[str]:
    """The convolutions in front of each block's last."""
    return [name for name, _ in model.named_modules() if name.endswith(".conv1")]


def ours(model: Net, batches: Batches, remove: float) -> Iterator[tuple[str, Net, float]]:
    """Rows: name, network, share removed."""
    graph = sec.trace(model, args=(batches[0][0][:1],))
    protect = [axis.name for axis in graph.axes if axis.name not in inner(model)]
    scored: dict[str, Any] = {}
    for name, (criterion, options) in OURS.items():
        if criterion not in scored:
            scored[criterion] = sec.criteria.build(criterion)(graph, batches, F.cross_entropy)
        plan = sec.select(graph, scored[criterion], {"macs": remove}, protect=protect, **options)
        share = 1 - plan.cost.macs / plan.before.macs
        yield f"ours: {name}", sec.apply(model, plan).model, share
        yield f"ours: {name}, repaired", sec.repair(sec.apply(model, plan, verify=False), batches).model, share


def theirs(model: Net, batches: Batches, remove: float) -> Iterator[tuple[str, Net, float]]:
    """The same, by Torch-Pruning."""
    dense = macs(model)
    for name, (kind, options) in THEIRS.items():
        for scope in ("uniform", "global"):
            low, high = 0.0, 0.95
            best: Net | None = None
            for _ in range(9):
                ratio = (low + high) / 2
                cut = _their_cut(model, batches, (kind, options), ratio, together=scope == "global")
                low, high, best = (low, ratio, cut) if 1 - macs(cut) / dense >= remove else (ratio, high, best)
            if best is not None:
                yield f"Torch-Pruning: {name}, {scope}", best, 1 - macs(best) / dense


def _their_cut(
    model: Net, batches: Batches, chosen: tuple[str, dict[str, Any]], ratio: float, *, together: bool
) -> Net:
    pruning = import_module("torch_pruning")
    cut = copy.deepcopy(model)
    importance = getattr(pruning.importance, chosen[0])(**chosen[1])
    free = set(inner(cut))
    kept = [m for n, m in cut.named_modules() if isinstance(m, nn.Conv2d | nn.Linear) and n not in free]
    pruner = pruning.pruner.BasePruner(
        cut,
        batches[0][0][:1],
        importance=importance,
        pruning_ratio=ratio,
        max_pruning_ratio=1.0,
        global_pruning=together,
        ignored_layers=kept,
    )
    if chosen[0] == "HessianImportance":
        _hessian(cut, batches[0], importance)
    elif chosen[0] == "TaylorImportance":
        for x, y in batches:
            F.cross_entropy(cut(x), y).backward()
    pruner.step()
    cut.zero_grad()
    return cut


def _hessian(model: Net, batch: tuple[Tensor, Tensor], importance: Any) -> None:
    """As its documentation says: squared gradients of each image's own loss."""
    importance.zero_grad()
    losses = F.cross_entropy(model(batch[0]), batch[1], reduction="none")
    for loss in losses:
        model.zero_grad()
        loss.backward(retain_graph=True)
        importance.accumulate_grad(model)


def macs(model: Net) -> int:
    """Of one image."""
    return sec.cost(model, args=(torch.zeros(1, 3, 32, 32),)).macs


@torch.no_grad()
def renewed(model: Net, batches: Batches) -> Net:
    """A copy with the statistics of these images, averaged over batches."""
    model = copy.deepcopy(model)
    for norm in _norms(model):
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    for x, _ in batches:
        model(x)
    return model.eval()


@torch.no_grad()
def moved(model: Net, dense: Net, batches: Batches) -> Net:
    """A copy with the stored statistics, moved by what the cut changed in those of these images."""
    new, before = renewed(model, batches), renewed(dense, batches)
    for norm, old, was in zip(_norms(new), _norms(before), _norms(dense), strict=True):
        kept = _matching(norm, was)
        norm.running_mean += was.running_mean[kept] - old.running_mean[kept]
        norm.running_var *= was.running_var[kept] / old.running_var[kept]
    return new


def _matching(norm: Any, was: Any) -> Tensor:
    """Which channels of the dense norm are left, by scale and shift, which no cut and no repair changes."""
    pairs = torch.stack([norm.weight, norm.bias], 1)[:, None] - torch.stack([was.weight, was.bias], 1)[None]
    return pairs.abs().sum(2).argmin(1)


def _norms(model: Net) -> list[Any]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


@torch.no_grad()
def accuracy(model: Net, batches: Batches) -> float:
    """Per cent."""
    right = sum(int((model.eval()(x).argmax(1) == y).sum()) for x, y in batches)
    return 100 * right / sum(len(y) for _, y in batches)


def table(options: argparse.Namespace) -> str:
    """All rows."""
    model = sec.models.build(options.network, classes=10)
    model.load_state_dict(load_file(options.weights))
    model.eval()
    train = images(options.data, "train", 6000 if options.held_out else max(RENEW, options.calibration))
    test = _part(train, HELD_OUT) if options.held_out else images(options.data, "test", options.test)
    seen, renewing = _part(train, slice(options.calibration)), _part(train, slice(RENEW))
    lines = ["| | MACs removed | as it is | statistics renewed | statistics moved |", "|---|---|---|---|---|"]
    rows: list[Callable[[Net, Batches, float], Iterator[tuple[str, Net, float]]]] = [ours]
    rows += [] if options.ours else [theirs]
    found = (row for make in rows for row in make(model, seen, options.remove))
    for name, net, share in chain([("dense", model, 0.0)], found):
        values = [accuracy(each, test) for each in (net, renewed(net, renewing), moved(net, model, renewing))]
        lines.append(f"| {name} | {100 * share:.2f} % | {' | '.join(f'{value:.2f}' for value in values)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def _part(batches: Batches, part: slice) -> Batches:
    x, y = (torch.cat(parts)[part] for parts in zip(*batches, strict=True))
    return list(zip(x.split(128), y.split(128), strict=True))


def main() -> None:
    """Print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--network", default="resnet20")
    parser.add_argument("--remove", type=float, default=0.5)
    parser.add_argument("--calibration", type=int, default=1024)
    parser.add_argument("--test", type=int, default=10_000)
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--ours", action="store_true", help="leave Torch-Pruning out")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    where = "2,000 training images that nothing else looked at" if options.held_out else f"{options.test:,} test images"
    head = (
        f"## {options.network}, {options.remove:g} of the MACs, {options.calibration:,} images, accuracy on {where}\n\n"
        f"{processor() or platform.machine()}, torch {torch.__version__}.\n\n"
    )
    text = head + table(options) + "\n"
    if options.write:
        before = RESULT.read_text() if RESULT.exists() else "# One shot: accuracy right after the cut\n\n"
        RESULT.write_text(before.partition(head.splitlines()[0])[0].rstrip() + "\n\n" + text)


if __name__ == "__main__":
    main()
