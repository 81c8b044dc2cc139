"""How close training is to what the hardware gives, and how far from a usual loop.

    python -m benchmarks.training                                     CPU: ResNet-20, batch 256, three formats
    python -m benchmarks.training --device cuda --steps 195           GPU: also ResNet-32 of four times the width
    python -m benchmarks.training --data cifar10 --epochs 200         train, and set the time beside the limit
    python -m benchmarks.training --accuracy 10                       does bf16 cost accuracy? digits, ten seeds

Any of them with `--write docs/results/training.md`, which replaces that file's section of the same name. `--data` is a
folder of CIFAR-10 as Parquet; without it the images are random. Three loops take turns in one process:

- bare: forward, loss, backward, step on one constant batch, which nothing that feeds on data can beat;
- ours: `secateurs.training.train` on `secateurs.data.Batches` (crop, flip, normalisation on the device), with all that
  it keeps count of;
- usual: a torch DataLoader with one worker per core, PIL transforms image by image, `loss.item()` each step.
"""

import argparse
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.loops._accuracy import digits_accuracy
from benchmarks.loops._bare import Bare
from benchmarks.loops._limit import kernel_shares, limit
from benchmarks.loops._race import MEAN, STD, Result, race, training_batches
from benchmarks.loops._setup import Setup, images_for, parse_setup
from secateurs.data import Batches, BatchOptions, DataOptions, ImageSet, load
from secateurs.training import evaluate, train

CPU_ROWS = ("resnet20,32", "resnet20,bf16,channels_last", "resnet20,bf16,channels_last,compile")
GPU_ROWS = (
    "resnet20,32,channels_last",
    "resnet20,bf16,channels_last",
    "resnet20,bf16,channels_last,compile",
    "resnet20,bf16,channels_last,cuda_graphs",
    "resnet32x4,bf16,channels_last,compile",
    "resnet32x4,bf16,channels_last,cuda_graphs",
)


def speed_section(results: Sequence[Result], rounds: int, steps: int) -> str:
    """Medians and extremes of all rounds."""
    clock = " of the processor's time, the DataLoader in one process" if results[0].setup.cpu_time else ""
    lines = [
        f"Batch {results[0].setup.batch}, {steps} steps a round, {rounds} rounds in turns after one that does not",
        f"count, {torch.get_num_threads()} threads. Images/s{clock}, median (least to most); ratios are",
        "medians of the rounds' ratios.",
        "",
        "| network and format | bare | ours | usual | ours / bare | ours / usual |",
        "|---|---|---|---|---|---|",
    ]
    for row in results:
        cells = " | ".join(_spread(values) for values in (row.bare, row.ours, row.usual))
        lines.append(f"| {row.setup.title} | {cells} | {100 * row.of_bare:.1f} % | {row.of_usual:.2f} |")
    return "\n".join(lines)


def budget_section(setup: Setup, folder: Path, epochs: int) -> str:
    """Train on all of CIFAR-10, and set the time of an epoch beside what arithmetic allows."""
    splits = load(DataOptions(path=folder, validation_ratio=0.0))
    assert isinstance(splits.train, ImageSet)
    assert isinstance(splits.test, ImageSet)
    network, batches = setup.network(), training_batches(setup, splits.train)
    history = train(network, batches, setup.options(epochs), progress=True).history
    test = Batches(splits.test, batch_size=1000, mean=MEAN, std=STD, options=BatchOptions(device=str(setup.device)))
    accuracy = evaluate(network, test, device=str(setup.device)).accuracy
    speed = statistics.median(record.images_per_second for record in history)
    allowed, rate = limit(setup)
    bare = Bare(setup)
    bare.images_per_second(20)
    unfed = statistics.median(bare.images_per_second(50) for _ in range(5))
    count = len(batches) * setup.batch
    lines = [
        f"{setup.title}, batch {setup.batch}, {epochs} epochs of CIFAR-10 (SGD, Nesterov, cosine from 0.05, weight",
        f"decay 5e-4, crop and flip), one seed: {100 * accuracy:.2f} % of the 10,000 test images, on which nothing was",
        "selected.",
        "",
        "| | images/s | an epoch, s | share of the limit |",
        "|---|---|---|---|",
        f"| arithmetic limit: 3 x 2 x MACs at {rate / 1e12:,.1f} TOp/s, the rate of a large matrix product |"
        f" {allowed:,.0f} | {count / allowed:.3f} | 100 % |",
        f"| bare loop | {unfed:,.0f} | {count / unfed:.3f} | {100 * unfed / allowed:.1f} % |",
        f"| our loop | {speed:,.0f} | {count / speed:.3f} | {100 * speed / allowed:.1f} % |",
        "",
        "Where a bare step's time goes: "
        + ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in kernel_shares(setup) if share >= 0.005)
        + ".",
    ]
    return "\n".join(lines)


def accuracy_section(seeds: int) -> str:
    """Means and spread over seeds, and the difference between the precisions seed by seed."""
    found = {precision: digits_accuracy(precision, seeds) for precision in ("32", "bf16")}
    differences = [100 * (half - full) for half, full in zip(found["bf16"], found["32"], strict=True)]
    error = statistics.stdev(differences) / len(differences) ** 0.5
    rows = [
        f"| {name} | {100 * statistics.mean(values):.2f} ± {100 * statistics.stdev(values):.2f} % |"
        for name, values in (("float32", found["32"]), ("bf16", found["bf16"]))
    ]
    lines = [
        f"ResNet-8 on scikit-learn's digits, 15 epochs, seeds 0 to {seeds - 1}; test accuracy in float32, mean ±",
        "standard deviation over seeds.",
        "",
        "| trained in | test accuracy |",
        "|---|---|",
        *rows,
        "",
        f"bf16 minus float32, seed by seed: {statistics.mean(differences):+.2f} ± {error:.2f} points (standard error).",
    ]
    return "\n".join(lines)


def write(path: Path, title: str, text: str) -> None:
    """Put the section into the file, in place of the one with the same title."""
    head, *sections = (path.read_text() if path.exists() else "# Speed and precision of training\n").split("\n## ")
    kept = [section for section in sections if section.splitlines()[0] != title]
    body = "\n## ".join([head.rstrip() + "\n", *(section.rstrip() + "\n" for section in (*kept, f"{title}\n\n{text}"))])
    path.write_text(body)


def machine(device: torch.device) -> str:
    """Hardware, versions, commit."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    cores = f"{os.cpu_count()} cores of {_processor()}"
    gpu = f"{torch.cuda.get_device_name(device)}, " if device.type == "cuda" else ""
    python = platform.python_version()
    return f"{gpu}{cores}; Python {python}, torch {torch.__version__}; commit {commit.strip() or 'unknown'}."


def main() -> None:
    """Print one section, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", type=torch.device)
    parser.add_argument("--rows", nargs="+", help="such as resnet20,bf16,channels_last,compile")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=40, help="of a round; 195 are an epoch of CIFAR-10")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--data", type=Path, help="folder of CIFAR-10")
    parser.add_argument("--epochs", type=int, help="train so long, beside the arithmetic limit; needs --data")
    parser.add_argument("--accuracy", type=int, metavar="SEEDS", help="compare precisions on digits")
    parser.add_argument("--threads", type=int, help="of torch; all cores if left out")
    parser.add_argument("--cpu-time", action="store_true", help="for a machine that others use; with --threads 1")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    title, text = _section(options)
    text = f"{text}\n\n{machine(options.device)}"
    print(f"## {title}\n\n{text}")
    if options.write:
        write(options.write, title, text)


def _section(options: argparse.Namespace) -> tuple[str, str]:
    name = torch.cuda.get_device_name(options.device) if options.device.type == "cuda" else "CPU"
    default = GPU_ROWS if options.device.type == "cuda" else CPU_ROWS
    if options.accuracy:
        return "Accuracy of bf16", accuracy_section(options.accuracy)
    setups = [
        parse_setup(row, options.device, options.batch, cpu_time=options.cpu_time) for row in options.rows or default
    ]
    if options.epochs:
        chosen = setups[0] if options.rows else setups[2]
        return f"Epochs beside the limit: {name}", budget_section(chosen, options.data, options.epochs)
    images = images_for(options.steps * options.batch, options.data)
    results = []
    for setup in setups:
        results.append(race(setup, images, options.rounds))
        print(speed_section(results[-1:], options.rounds, options.steps).splitlines()[-1], flush=True)
    return f"Speed: {name}", speed_section(results, options.rounds, options.steps)


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(": ")[2] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
