"""Does it matter which units go? UnitMem's lowest and highest against lots and L1, right after the cut.

    SECATEURS_DATA=... python -m benchmarks.unitmem_order --weights FILE [--model resnet20] [--seeds 3] [--device cpu]

A trained CIFAR-10 network; 10 % and 20 % of the units of its blocks' convolutions are really cut and nothing is trained
afterwards. Units are ordered over all layers, or within each ("layers"). A seed draws other 1,000 training images (in
ten versions each) and other lots; the network is the same. Prints accuracy on all test images.
"""

import argparse
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from secateurs import models
from secateurs.criteria import Magnitude, UnitMem
from secateurs.data import AugmentedView, Batches, BatchOptions, DataOptions, ImageSet, ViewOptions, load
from secateurs.graph import Axis, Graph, trace
from secateurs.selection import CountOptions, units_alone, units_by_count
from secateurs.surgery import apply

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RATIOS = (0.1, 0.2)
Choice = Literal["low", "high", "hybrid", "random"]
Row = tuple[str, str, float]
"""(which units go, ordered over what, fraction that goes)."""
Scored = tuple[str, Choice, Mapping[str, Tensor]]
"""(which units go, choice of `units_by_count`, scores)."""


def axes_of(graph: Graph) -> list[Axis]:
    """Units that one convolution of a block makes alone: the stem stays."""
    return [own.axis for own in units_alone(graph, protect=["conv1"])]


def accuracy(model: nn.Module, batches: Batches) -> float:
    """Of all images, in %."""
    model.eval()
    with torch.inference_mode():
        right = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in batches)
    return 100 * right / len(batches.images)


def chosen(
    axes: Sequence[Axis], scores: Mapping[str, Tensor], ratio: float, options: CountOptions, scope: str
) -> dict[str, tuple[int, ...]]:
    """Axis name to units."""
    if scope == "all":
        return units_by_count(axes, scores, math.ceil(ratio * sum(axis.size for axis in axes)), options)
    removed: dict[str, tuple[int, ...]] = {}
    for number, axis in enumerate(axes):
        own = CountOptions(choice=options.choice, seed=1000 * options.seed + number)
        removed |= units_by_count([axis], scores, math.ceil(ratio * axis.size), own)
    return removed


def scored(graph: Graph, images: ImageSet, seed: int, device: str) -> Iterator[Scored]:
    """All methods."""
    for at in ("read", "norm"):
        view = AugmentedView(
            images, (MEAN, STD), ViewOptions(seed=seed, batch_size=100), options=BatchOptions(device=device)
        )
        values = UnitMem(at=at)(graph, batches=view)
        yield f"lowest UnitMem, {at}", "low", values
        yield f"highest UnitMem, {at}", "high", values
    yield "by lot", "random", {}
    yield "lowest L1", "low", Magnitude(p=1)(graph)


def study(model: nn.Module, seeds: int, device: str) -> dict[Row, list[float]]:
    """Accuracies by row, one for each seed."""
    splits = load(DataOptions(name="cifar10", mean=MEAN, std=STD, resident=True))
    assert isinstance(splits.train, ImageSet)
    assert isinstance(splits.test, ImageSet)
    test = Batches(splits.test, batch_size=500, mean=MEAN, std=STD, options=BatchOptions(device=device))
    graph = trace(model, args=(torch.zeros(1, 3, 32, 32, device=device),))
    axes, found = axes_of(graph), dict[Row, list[float]]()
    print(f"nothing cut: {accuracy(model, test):.2f} %, {sum(axis.size for axis in axes)} units", flush=True)
    for seed in range(seeds):
        for name, choice, scores in scored(graph, splits.train, seed, device):
            for scope in ("all", "layers"):
                for ratio in RATIOS:
                    removed = chosen(axes, scores, ratio, CountOptions(choice=choice, seed=seed), scope)
                    cut = apply(model, graph.plan({name: units for name, units in removed.items() if units}))
                    found.setdefault((name, scope, ratio), []).append(accuracy(cut.model, test))
    return found


def table(found: Mapping[Row, Sequence[float]]) -> str:
    """A row for each method, a column for each scope and fraction."""
    columns = [(scope, ratio) for scope in ("all", "layers") for ratio in RATIOS]
    titles = [f"{100 * ratio:.0f} %, {'all layers' if scope == 'all' else 'each layer'}" for scope, ratio in columns]
    lines = ["| units that go | " + " | ".join(titles) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in dict.fromkeys(row[0] for row in found):
        cells = [found[name, scope, ratio] for scope, ratio in columns]
        shown = [
            f"{statistics.mean(cell):.1f} ± {statistics.stdev(cell) if len(cell) > 1 else 0:.1f}" for cell in cells
        ]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Cut, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--model", default="resnet20")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    model = models.build(asked.model, classes=10)
    model.load_state_dict(load_file(asked.weights))
    print(table(study(model.to(asked.device).eval(), asked.seeds, asked.device)))


if __name__ == "__main__":
    main()
