"""What penalties before a cut are worth, and what they cost: digits, one shot, without retraining.

    python benchmarks/sparse.py [--seeds 3] [--epochs 12] [--write]

The same network, batches and epochs with each penalty and without; then the same share of the multiply-adds goes, by
one criterion for all, and the test images are looked at: no repair, no retraining, no renewed statistics. Beside it,
how many units have small norms: over all parameters that go with a unit, relative to the largest of its axis. The cost
is the time of the working thread beside that of a forward and backward pass, in turns, ResNet-20 with 128 images.
`--write` puts the tables into docs/results/sparse_training.md.
"""

import argparse
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs import apply, models, select, trace
from secateurs.criteria import build
from secateurs.data import DataOptions, ImageSet, load
from secateurs.graph import Graph
from secateurs.sparsity import GroupLasso, Growing, Penalty, ScaleLasso
from secateurs.training import Classification, Objective, Penalised, TrainOptions, evaluate, train

RESULT = Path(__file__).parent.parent / "docs" / "results" / "sparse_training.md"
LEVELS = (0.3, 0.5, 0.7)
CHOSEN = 0.5
Batch = tuple[Tensor, Tensor]


def _growing(graph: Graph) -> Penalty:
    plan = select(graph, build("magnitude")(graph), {"macs": CHOSEN})
    return Growing(increment=1e-2).on(graph, plan)


PENALTIES: Mapping[str, Callable[[Graph], Penalty] | None] = {
    "none": None,
    "group_lasso 5e-4": lambda graph: GroupLasso(strength=5e-4).on(graph),
    "group_lasso 1e-3": lambda graph: GroupLasso(strength=1e-3).on(graph),
    "group_lasso 2e-3": lambda graph: GroupLasso(strength=2e-3).on(graph),
    "group_lasso 4e-3": lambda graph: GroupLasso(strength=4e-3).on(graph),
    "group_lasso 2e-3, over: produce": lambda graph: GroupLasso(strength=2e-3, over="produce").on(graph),
    "bn_scale 5e-3": lambda graph: ScaleLasso(strength=5e-3).on(graph),
    "bn_scale 2e-2": lambda graph: ScaleLasso(strength=2e-2).on(graph),
    f"growing 1e-2, {100 * CHOSEN:g} % chosen at the start": _growing,
}


def batches(images: ImageSet, size: int, seed: int | None = None) -> list[Batch]:
    """All images, shuffled once if there is a seed."""
    x, y = (images.images.float() / 255 - 0.3) / 0.35, images.labels.long()
    order = (
        torch.arange(len(y)) if seed is None else torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    )
    return [(x[rows], y[rows]) for rows in order.split(size)]


def trained(penalty: Callable[[Graph], Penalty] | None, data: list[Batch], seed: int, epochs: int) -> nn.Module:
    """A ResNet-8 of half width."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = models.build("resnet8", classes=10, channels=1, width=0.5)
    objective: Objective = Classification()
    if penalty is not None:
        objective = Penalised(objective, penalty(trace(model, data[0][0][:1])))
    options = TrainOptions(epochs=epochs, lr=0.1, seed=seed, device="cpu", precision="32")
    train(model, data, options, objective=objective)
    return model.eval()


def row(model: nn.Module, test: list[Batch], criterion: str) -> dict[str, float]:
    """Accuracies in percent, dense and cut, and the shares of units with small and middling norms."""
    graph = trace(model, test[0][0][:1])
    found = {"dense": 100 * evaluate(model, test, device="cpu").accuracy}
    scores = build(criterion)(graph)
    for level in LEVELS:
        cut = apply(model, select(graph, scores, {"macs": level}), verify=False).model
        found[f"{level:g}"] = 100 * evaluate(cut, test, device="cpu").accuracy
    norms = GroupLasso().on(graph)
    found["small"] = 100 * norms.small_units(0.1)
    found["middling"] = 100 * norms.small_units(0.4) - found["small"]
    return found


def costs(rounds: int) -> list[str]:
    """Of each kind, beside a forward and backward pass."""
    model = models.build("resnet20", classes=10, channels=3)
    x, y = torch.randn(128, 3, 32, 32), torch.zeros(128, dtype=torch.long)
    graph = trace(model, x[:1])
    kinds = {"group_lasso": GroupLasso().on(graph), "bn_scale": ScaleLasso().on(graph), "growing": Growing().on(graph)}
    passes: list[float] = []
    spent: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds + 1):
        start = time.thread_time()
        F.cross_entropy(model(x), y).backward()
        passes.append(time.thread_time() - start)
        for name, penalty in kinds.items():
            start = time.thread_time()
            penalty.add_gradients(1)
            spent[name].append(time.thread_time() - start)
    whole = statistics.median(passes[1:])
    return [f"| {name} | {100 * statistics.median(times[1:]) / whole:.2f} % |" for name, times in spent.items()]


def table(seeds: int, epochs: int) -> list[str]:
    """One line for each penalty and criterion."""
    splits = load(DataOptions(name="digits"))
    assert isinstance(splits.train, ImageSet)
    assert isinstance(splits.test, ImageSet)
    test = batches(splits.test, 512)
    lines = []
    for name, penalty in PENALTIES.items():
        networks = [trained(penalty, batches(splits.train, 64, seed), seed, epochs) for seed in range(seeds)]
        for criterion in ("magnitude", *(("bn_scale",) if name == "none" or name.startswith("bn_scale") else ())):
            rows = [row(model, test, criterion) for model in networks]
            cells = [_cell([found[key] for found in rows]) for key in rows[0]]
            lines.append(f"| {name} | {criterion} | " + " | ".join(cells) + " |")
            print(lines[-1], flush=True)
    return lines


def _cell(values: list[float]) -> str:
    mean = statistics.fmean(values)
    return f"{mean:.1f} ± {statistics.stdev(values):.1f}" if len(values) > 1 else f"{mean:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    head = "| penalty | criterion | dense | " + " | ".join(f"{100 * level:g} %" for level in LEVELS)
    head += " | norm below 0.1 | 0.1 to 0.4 |"
    lines = [head, "|---|---|" + "---:|" * (3 + len(LEVELS)), *table(chosen.seeds, chosen.epochs)]
    cost = ["| penalty | of a forward and backward pass |", "|---|---:|", *costs(chosen.rounds)]
    print("\n".join(cost))
    if chosen.write:
        made = f"{chosen.seeds} seeds, {chosen.epochs} epochs, torch {torch.__version__}, {platform.machine()}."
        text = "\n".join([made, "", *lines, "", *cost])
        old = RESULT.read_text()
        RESULT.write_text(
            re.sub(r"(<!-- table -->\n).*(\n<!-- end -->)", lambda m: m[1] + text + m[2], old, flags=re.DOTALL)
        )


if __name__ == "__main__":
    main()
