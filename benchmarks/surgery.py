"""How long analysing and cutting takes: ours beside one dense forward pass, and beside Torch-Pruning where installed.

    python benchmarks/surgery.py [--runs 5] [--models resnet20 resnet50] [--json FILE]

Both tools cut half of the units of every axis they find, one after the other in one process, alternating; the first
round is not counted. Ours is trace + score + select + cut, without and with the proof; theirs is building the
dependency graph + step, with the pruned layers' outputs ignored nowhere but at the classifier.
"""

import argparse
import copy
import json
import platform
import statistics
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

import secateurs as sec

MODELS = ("resnet20", "resnet56", "vgg16_bn", "resnet18", "resnet50")


def forward(model: nn.Module, x: Tensor) -> None:
    """The limit: nothing that looks at a model can be faster than running nothing but the model."""
    with torch.inference_mode():
        model(x)


def ours(model: nn.Module, x: Tensor, verify: bool) -> None:
    """Trace, score, select half of every axis, cut; with the proof if asked."""
    graph = sec.trace(model, (x,))
    plan = sec.select(graph, sec.criteria.Magnitude()(graph), scope={"*": 0.5})
    sec.apply(model, plan, inplace=not verify, verify=verify)


def theirs(model: nn.Module, x: Tensor) -> None:
    """Torch-Pruning's build and step at the same channel ratio."""
    pruning = import_module("torch_pruning")
    head = [module for module in model.modules() if isinstance(module, (nn.Linear, nn.Conv2d))][-1]
    importance = pruning.importance.GroupMagnitudeImportance(p=2)
    pruner = pruning.pruner.BasePruner(model, x, importance=importance, pruning_ratio=0.5, ignored_layers=[head])
    pruner.step()


def measure(name: str, runs: int) -> dict[str, float]:
    """Median seconds of each, alternating."""
    model = sec.models.build(name).eval()
    x = torch.randn(1, *sec.models.TABLE[name].input_shape)
    jobs: dict[str, Callable[[nn.Module], None]] = {
        "forward": lambda m: forward(m, x),
        "cut": lambda m: ours(m, x, verify=False),
        "cut + proof": lambda m: ours(m, x, verify=True),
    }
    if find_spec("torch_pruning"):
        jobs["Torch-Pruning"] = lambda m: theirs(m, x)
    seconds: dict[str, list[float]] = {job: [] for job in jobs}
    for round_ in range(runs + 1):
        for job, function in jobs.items():
            fresh = copy.deepcopy(model)
            start = time.perf_counter()
            function(fresh)
            if round_:
                seconds[job].append(time.perf_counter() - start)
    return {job: statistics.median(values) for job, values in seconds.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{platform.processor() or platform.machine()}, 1 thread, torch {torch.__version__}, n={options.runs}")
    rows = {}
    for name in options.models:
        rows[name] = measure(name, options.runs)
        shown = "  ".join(f"{job} {value * 1000:8.1f} ms" for job, value in rows[name].items())
        rival = rows[name].get("Torch-Pruning")
        print(f"{name:<10} {shown}" + (f"  ratio {rival / rows[name]['cut']:.1f}" if rival else ""))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
