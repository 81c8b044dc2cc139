"""Eigen cuts: what their statistics cost, and what is left of a trained network at equal multiply-adds.

    python benchmarks/eigen.py --weights cifar10_resnet20.safetensors --data FOLDER [--images 512] [--write]

Factors against one forward and backward pass of training (gradients of all weights) over the same batches, in turns; on
the CPU one thread and the time of that thread, so that other work on the machine counts little. Then the accuracy on
test images of a pretrained CIFAR-10 ResNet-20 before any retraining, after cuts of equal multiply-adds: eigen,
Kronecker criteria on branch units with and without what makes up for filters, and magnitude. `--write` puts the tables
into docs/results/eigen.md.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

import secateurs as sec
from secateurs import criteria
from secateurs.eigen import EigenOptions, FactorOptions, compensated, rotate
from secateurs.statistics import kronecker_factors

RESULT = Path(__file__).parent.parent / "docs" / "results" / "eigen.md"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
KINDS = ("channel", "branch")
Batches = list[tuple[Tensor, Tensor]]


def images(folder: Path, part: str, count: int) -> Batches:
    """The first images of a part of CIFAR-10, in batches of 128."""
    import datasets

    rows = datasets.load_dataset("parquet", data_files=str(folder / f"{part}*.parquet"), split=f"train[:{count}]")
    pixels = torch.stack(
        [torch.frombuffer(bytearray(row.convert("RGB").tobytes()), dtype=torch.uint8) for row in rows["img"]]
    )
    shaped = pixels.reshape(-1, 32, 32, 3).permute(0, 3, 1, 2).float() / 255
    normal = (shaped - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    return list(zip(normal.split(128), torch.tensor(rows["label"]).split(128), strict=True))


def seconds(work: Callable[[], object], device: str) -> float:
    """One call."""
    clock = time.thread_time if device == "cpu" else time.perf_counter
    start = clock()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


def training_pass(model: nn.Module, batches: Batches) -> None:
    """Forward and backward to all weights."""
    for x, y in batches:
        model.zero_grad()
        F.cross_entropy(model(x), y).backward()


def factor_costs(device: str, rounds: int) -> list[str]:
    """Rows of the table: passes that factors cost."""
    lines = []
    kinds = {"channel": FactorOptions(), "patch": FactorOptions(inputs="patch")}
    for name, size in (("resnet20", 64), ("resnet32x4", 8)):
        torch.manual_seed(0)
        model = sec.models.build(name, classes=10).to(device).eval()
        batches = [(torch.randn(size, 3, 32, 32, device=device), torch.randint(10, (size,), device=device))]
        found: dict[str, list[float]] = {kind: [] for kind in kinds}
        times = []
        for round_ in range(rounds + 1):
            plain = seconds(lambda model=model, batches=batches: training_pass(model, batches), device)  # type: ignore[misc]
            for kind, options in kinds.items():
                own = seconds(
                    lambda model=model, batches=batches, options=options: kronecker_factors(  # type: ignore[misc]
                        model, batches, options=options
                    ),
                    device,
                )
                if round_:
                    found[kind].append(own / plain)
            times.append(plain)
        cells = [f"{statistics.median(row):.2f} ({min(row):.2f} to {max(row):.2f})" for row in found.values()]
        lines.append(f"| {name}, {size} images | {1000 * statistics.median(times[1:]):.0f} | {' | '.join(cells)} |")
    return lines


@torch.no_grad()
def accuracy(model: nn.Module, batches: Batches) -> float:
    """Percent."""
    model.eval()
    right = sum(int((model(x).argmax(1) == y).sum()) for x, y in batches)
    return 100 * right / sum(len(y) for _, y in batches)


def unit_cut(
    model: nn.Module, batches: Batches, macs: float, criterion: criteria.Criterion, by: str | None
) -> nn.Module:
    """A cut of filters, single producers of sums among them."""
    graph = sec.trace(model, (batches[0][0][:1],))
    plan = sec.select(graph, criterion(graph, batches, F.cross_entropy), remove={"macs": macs}, kinds=KINDS)
    if by is not None:
        factors = kronecker_factors(model, batches, options=FactorOptions(inputs="patch"))
        model = compensated(model, plan, factors, by="weights" if by == "weights" else "filters")
    return sec.apply(model, plan, verify=False).model


def cuts() -> dict[str, Callable[[nn.Module, Batches, float], nn.Module]]:
    """Every way to cut, by name."""

    def eigen(options: EigenOptions) -> Callable[[nn.Module, Batches, float], nn.Module]:
        return lambda model, batches, macs: rotate(model, batches, remove={"macs": macs}, options=options, verify=False)

    def units(criterion: criteria.Criterion, by: str | None = None) -> Callable[[nn.Module, Batches, float], nn.Module]:
        return lambda model, batches, macs: unit_cut(model, batches, macs, criterion, by)

    return {
        "eigen": eigen(EigenOptions()),
        "eigen, three layers always": eigen(EigenOptions(fold=False)),
        "eigen, EKFAC": eigen(EigenOptions(ekfac=True)),
        "eigen, patch": eigen(EigenOptions(factors=FactorOptions(inputs="patch"))),
        "eigen, Tucker": eigen(EigenOptions(method="tucker")),
        "KronOBD": units(criteria.KronOBD()),
        "KronOBS, compensated": units(criteria.KronOBS(), "filters"),
        "COBD": units(criteria.COBD()),
        "COBS, compensated": units(criteria.COBS(), "weights"),
        "Magnitude, mean": units(criteria.Magnitude(normalize="mean")),
        "Magnitude": units(criteria.Magnitude()),
    }


def accuracies(options: argparse.Namespace) -> str:
    """The table of one-shot accuracies."""
    train = images(options.data, "train-", options.images)
    test = images(options.data, "test", options.test)
    model = sec.models.build("resnet20", classes=10, shortcut="A")
    model.load_state_dict(load_file(options.weights), strict=False)
    ratios = (0.1, 0.3)
    lines = [
        f"Pretrained ResNet-20 (16/32/64) on CIFAR-10, {options.images} training images, {options.test} "
        f"test images, one cut, no retraining. Dense: {accuracy(model, test):.1f} %.",
        "",
        "| cut | " + " | ".join(f"{100 * ratio:.0f} % of MACs" for ratio in ratios) + " |",
        "|---" * (1 + len(ratios)) + "|",
    ]
    for name in options.cuts:
        cut = cuts()[name]
        cells = [f"{accuracy(cut(model, train, ratio), test):.1f}" for ratio in ratios]
        lines.append(f"| {name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def processor() -> str:
    """Its name as the system tells it."""
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.machine()


def main() -> None:
    """Print the tables, and write them if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--test", type=int, default=1024)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cuts", nargs="*", default=list(cuts()), help="names of ways to cut")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    name = torch.cuda.get_device_name() if options.device != "cpu" else f"one thread, {processor()}"
    head = [
        "| network | forward and backward, ms | channel factors, passes | patch factors, passes |",
        "|---|---|---|---|",
    ]
    parts = [f"{name}, torch {torch.__version__}, n={options.rounds}, median (least to most)."]
    parts.append("\n".join(head + factor_costs(options.device, options.rounds)))
    print("\n\n".join(parts), flush=True)
    if options.weights is not None and options.data is not None:
        parts.append(accuracies(options))
    if options.write:
        before = RESULT.read_text().partition("<!-- table -->")[0] if RESULT.exists() else "# Eigen cuts\n\n"
        RESULT.write_text(f"{before}<!-- table -->\n" + "\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
