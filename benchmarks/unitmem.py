"""What a level of UnitMem costs: against plain forward passes, and against one pass for each layer.

    SECATEURS_DATA=... python benchmarks/unitmem.py [--weights FILE] [--device cpu] [--rounds 3] [--part 50] [--write]

ResNet-20 and 1,000 training images of CIFAR-10 in ten versions each, in two batches that are made beforehand, so that
no augmentation is in any time. Passes and criterion take turns within a round, the first round is not counted; one
thread on the CPU, whose time is that of the working thread, so that other work on the machine does not count. The form
with one pass for each of the 18 convolutions within blocks is the usual one: a hook on one norm, all batches, and again
for the next; it is run on `--part` images beside the criterion, and what both find is compared. `--write` puts the
table into docs/results/unitmem.md.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from secateurs import models
from secateurs.criteria import UnitMem
from secateurs.data import AugmentedView, BatchOptions, DataOptions, ViewOptions, load
from secateurs.graph import Graph, trace

RESULT = Path(__file__).parent.parent / "docs" / "results" / "unitmem.md"
VERSIONS = 10


class Versions:
    """Batches that are made already, and what the criterion asks of them."""

    augmentations = VERSIONS

    def __init__(self, batches: Sequence[Tensor], indices: Tensor) -> None:
        self._batches, self.indices = batches, indices

    def __iter__(self):
        return iter(self._batches)


def seconds(work: Callable[[], object], device: str) -> float:
    """One call."""
    clock = time.thread_time if device == "cpu" else time.perf_counter
    start = clock()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


def view(device: str) -> AugmentedView:
    """Ten versions each of 1,000 training images."""
    splits = load(DataOptions(name="cifar10"))
    return AugmentedView(splits.train, (splits.mean, splits.std), ViewOptions(), options=BatchOptions(device=device))


@torch.no_grad()
def passes(model: nn.Module, batches: Sequence[Tensor]) -> None:
    """Nothing but the forward passes."""
    for x in batches:
        model(x)


@torch.no_grad()
def layer_by_layer(model: nn.Module, batches: Sequence[Tensor]) -> Mapping[str, Tensor]:
    """UnitMem of the units of each norm within blocks, one pass for each."""
    found = {}
    for name, module in model.named_modules():
        if not name.startswith("layer") or not isinstance(module, nn.BatchNorm2d):
            continue
        rows: list[Tensor] = []

        def keep(_module: nn.Module, _args: object, output: Tensor, rows: list[Tensor] = rows) -> None:
            rows.append(output.relu().mean((2, 3)))

        handle = module.register_forward_hook(keep)
        passes(model, batches)
        handle.remove()
        mu = torch.cat(rows).unflatten(0, (-1, VERSIONS)).mean(1).double()
        high = mu.amax(0)
        rest = (mu.sum(0) - high) / (len(mu) - 1)
        found[name] = torch.where(high > 0, (high - rest) / (high + rest), 0).cpu()
    return found


def compared(graph: Graph, batches: Versions, wanted: Mapping[str, Tensor]) -> float:
    """The largest difference to what the layers by themselves gave."""
    found = UnitMem(at="norm").observe(graph, batches)
    pairs = {"bn1": "conv1", "bn2": "conv2:branch"}
    differences = []
    for name, values in wanted.items():
        block, _, norm = name.rpartition(".")
        differences.append(float((found[f"{block}.{pairs[norm]}"].values - values).abs().max()))
    return max(differences)


def measured(graph: Graph, whole: Versions, part: Versions, rounds: int, device: str) -> dict[str, list[float]]:
    """Seconds of everything in every round."""
    criteria = {"after the ReLU": UnitMem(), "at the norms": UnitMem(at="norm")}
    model = graph.model
    work: dict[str, Callable[[], object]] = {"passes": lambda: passes(model, list(whole))}
    for name, criterion in criteria.items():
        work[name] = lambda criterion=criterion: criterion(graph, whole)  # type: ignore[misc]
    work["part"] = lambda: UnitMem(at="norm")(graph, part)
    work["layers"] = lambda: layer_by_layer(model, list(part))
    found: dict[str, list[float]] = {name: [] for name in work}
    for round_ in range(rounds + 1):
        for name, run in work.items():
            cost = seconds(run, device)
            if round_:
                found[name].append(cost)
    return found


def ratios(above: Sequence[float], below: Sequence[float]) -> str:
    """Round by round."""
    found = [one / other for one, other in zip(above, below, strict=True)]
    return f"{statistics.median(found):.3g} ({min(found):.3g} to {max(found):.3g})"


def table(found: Mapping[str, Sequence[float]], images: int, part: int) -> str:
    """Markdown."""
    lines = ["| | seconds | times the plain passes |", "|---|---|---|"]
    plain = found["passes"]
    lines.append(f"| plain passes, {images:,} images in {VERSIONS} versions | {statistics.median(plain):.2f} | 1 |")
    for name in ("after the ReLU", "at the norms"):
        cost = found[name]
        lines.append(f"| UnitMem, all layers, {name} | {statistics.median(cost):.2f} | {ratios(cost, plain)} |")
    told = f"One pass for each of 18 layers takes {ratios(found['layers'], found['part'])} times as long as all at once"
    return "\n".join(lines) + f"\n\n{told} ({part} images in {VERSIONS} versions)."


def main() -> None:
    """Print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="of a ResNet-20, safetensors; without, they are random")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", type=int, default=50)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = models.build("resnet20").eval()
    if options.weights is not None:
        model.load_state_dict(load_file(options.weights))
    model, made = model.to(options.device), view(options.device)
    batches: list[Tensor] = []
    augmenting = seconds(lambda: batches.extend(x for x, _ in made), options.device)
    whole = Versions(batches, made.indices)
    part = Versions([batches[0][: options.part * VERSIONS]], made.indices[: options.part])
    graph = trace(model, (batches[0][:1],))
    error = compared(graph, part, layer_by_layer(model, list(part)))
    found = measured(graph, whole, part, options.rounds, options.device)
    name = torch.cuda.get_device_name() if options.device != "cpu" else f"one thread, {processor()}"
    place = f"{name}, torch {torch.__version__}, n={options.rounds}, median (least to most)"
    making = f"Making the versions takes {augmenting:.1f} s more. Largest difference between both forms: {error:.1e}."
    shown = f"{place}.\n\n{table(found, len(made.indices), options.part)} {making}"
    print(shown)
    if options.write:
        before = RESULT.read_text().partition("<!-- table -->")[0] if RESULT.exists() else "# What UnitMem costs\n\n"
        RESULT.write_text(f"{before}<!-- table -->\n{shown}\n")


def processor() -> str:
    """Its name as the system tells it."""
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.machine()


if __name__ == "__main__":
    main()
