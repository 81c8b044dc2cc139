"""What the criterion `contribution` costs: against a plain triple loop, and against one forward pass.

    python benchmarks/contribution.py [--device cpu] [--rounds 9] [--write]

One thread on the CPU. The loop is the definition, a number at a time, on few images; its time is carried over to all
of them. Forward passes and criteria take turns within a round, the first round is not counted; on the CPU the time is
that of the working thread, so that other work on the machine counts little. Beside the mean stands its arithmetic: two
more products of the size of every layer that reads units. `--write` puts the table into
docs/results/contribution.md.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from secateurs import models
from secateurs.criteria import Contribution, Criterion
from secateurs.graph import Graph, trace

RESULT = Path(__file__).parent.parent / "docs" / "results" / "contribution.md"
LOOP_IMAGES = 4
CRITERIA = {"mean": Contribution(), "maximum": Contribution(average=0.0, maximum=1.0)}


def networks() -> dict[str, tuple[nn.Module, Tensor]]:
    """Networks and one batch for each."""
    generator = torch.Generator().manual_seed(0)
    mnist, cifar = (torch.randn(size, generator=generator) for size in ((5000, 1, 28, 28), (512, 3, 32, 32)))
    wide = nn.Sequential(
        *(layer for _ in range(4) for layer in (nn.Linear(1024, 1024), nn.ReLU())), nn.Linear(1024, 10)
    )
    return {
        "MLP 784-50-30-10, 5,000 images": (models.build("mlp", widths=(50, 30), bias=False), mnist),
        "LeNet 784-300-100-10, 5,000 images": (models.build("mlp"), mnist),
        "linear 4 x 1024, 512 rows": (wide, torch.randn(512, 1024, generator=generator)),
        "fc_head 2048-256-128-10, 512 images": (models.build("fc_head"), cifar),
        "conv4, 64 images": (models.build("conv4"), cifar[:64]),
        "ResNet-20, 64 images": (models.build("resnet20"), cifar[:64]),
    }


def seconds(work: Callable[[], object], device: str) -> float:
    """One call."""
    clock = time.thread_time if device == "cpu" else time.perf_counter
    start = clock()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


def looped(model: nn.Module, images: Tensor) -> Tensor:
    """The mean contribution of the first hidden layer's units, from the definition."""
    hidden = models.build("mlp", widths=(50, 30), bias=False)
    hidden.load_state_dict(model.state_dict())
    first, second = hidden.get_submodule("hidden.0"), hidden.get_submodule("hidden.1")
    with torch.no_grad():
        activations = torch.relu(first(images.flatten(1))).tolist()
    assert isinstance(second.weight, Tensor)
    weights = second.weight.tolist()
    sums = [0.0] * len(weights[0])
    for row in activations:
        for readers in weights:
            terms = [abs(w * a) for w, a in zip(readers, row, strict=True)]
            total = sum(terms)
            for unit, term in enumerate(terms):
                sums[unit] += term / total if total else 0.0
    return torch.tensor(sums) / (len(activations) * len(weights))


def against_the_loop(rounds: int) -> str:
    """How many times faster than the loop, and how far from it."""
    model, images = networks()["MLP 784-50-30-10, 5,000 images"]
    few = images[:LOOP_IMAGES]
    graph = trace(model, (few,))
    found = Contribution()(graph, batches=[(few, None)])["hidden.0"]
    error = float((found - looped(model, few)).abs().max() / found.max())
    loop = statistics.median(seconds(lambda: looped(model, few), "cpu") for _ in range(rounds))
    ours = statistics.median(scored(Contribution(), graph, images, "cpu") for _ in range(rounds))
    times = loop * len(images) / LOOP_IMAGES / ours
    return (
        f"The triple loop takes {1000 * loop / LOOP_IMAGES:.2f} ms an image for the MLP's first hidden layer alone; "
        f"the criterion scores both layers {times:,.0f} times as fast. Largest relative difference in single "
        f"precision: {error:.1e}."
    )


def scored(criterion: Criterion, graph: Graph, images: Tensor, device: str) -> float:
    """Seconds of a criterion on one batch."""
    return seconds(lambda: criterion(graph, batches=[(images, None)]), device)


def against_a_pass(device: str, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Per network, the cost of each criterion in forward passes, in every round; the pass in ms is `forward`."""
    found: dict[str, dict[str, list[float]]] = {}
    for name, (model, images) in networks().items():
        model, images = model.to(device).eval(), images.to(device)
        graph = trace(model, (images[:1],))
        row: dict[str, list[float]] = {"forward": [], **{kind: [] for kind in CRITERIA}}
        for round_ in range(rounds + 1):
            with torch.no_grad():
                forward = seconds(lambda model=model, images=images: model(images), device)  # type: ignore[misc]
            costs = {kind: scored(criterion, graph, images, device) for kind, criterion in CRITERIA.items()}
            if round_:
                row["forward"].append(1000 * forward)
                for kind, cost in costs.items():
                    row[kind].append(cost / forward)
        found[name] = row
    return found


def arithmetic(model: nn.Module, images: Tensor) -> float:
    """What the mean costs by its multiplications alone, in forward passes."""
    graph = trace(model, (images[:1],))
    scored = {member.path for axis in graph.axes for member in axis.members if member.role == "reads"}
    macs: dict[str, int] = {}

    def count(name: str, weight: Tensor, output: Tensor) -> None:
        macs[f"{name}.weight"] = output[0].numel() * weight[0].numel()

    handles = [
        module.register_forward_hook(lambda module, _, output, name=name: count(name, module.weight, output))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    ]
    with torch.no_grad():
        model(images[:1])
    for handle in handles:
        handle.remove()
    return 1 + 2 * sum(count for path, count in macs.items() if path in scored) / sum(macs.values())


def table(found: dict[str, dict[str, list[float]]]) -> str:
    """Markdown; a criterion's own forward pass is in its cost."""
    title = "| network | forward, ms | mean by arithmetic, passes | mean, passes | maximum, passes |"
    lines = [title, "|---|---|---|---|---|"]
    made = networks()
    for name, row in found.items():
        cells = [f"{statistics.median(row['forward']):.1f}", f"{arithmetic(*made[name]):.2f}"]
        cells += [
            f"{statistics.median(row[kind]):.2f} ({min(row[kind]):.2f} to {max(row[kind]):.2f})" for kind in CRITERIA
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables, and write them if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    name = torch.cuda.get_device_name() if options.device != "cpu" else f"one thread, {processor()}"
    place = f"{name}, torch {torch.__version__}, n={options.rounds}, median (least to most)"
    told, shown = against_the_loop(options.rounds), table(against_a_pass(options.device, options.rounds))
    print("\n\n".join([place, told, shown]))
    if options.write:
        before = RESULT.read_text().partition("<!-- table -->")[0] if RESULT.exists() else "# Contribution\n\n"
        RESULT.write_text(f"{before}<!-- table -->\n{place}. {told}\n\n{shown}\n")


def processor() -> str:
    """Its name as the system tells it."""
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.machine()


if __name__ == "__main__":
    main()
