"""What criteria cost that look at data, beside the forward and backward passes that their formulas need.

    SECATEURS_DATA=... python -m benchmarks.criteria [--weights FILE] [--device cpu] [--rounds 9] [--write]

ResNet-20 on training images of CIFAR-10, 512 in batches of 128; one thread on the CPU. Passes are plain loops with
`torch.autograd.grad`. All rows take turns within a round and the first round is not counted; on the CPU the time is
that of the working thread, so that other work on the machine does not count. `--weights` takes a trained network, whose
feature maps have other ranks than those of a new one. `--write` puts the tables into docs/results/criteria.md.
"""

import argparse
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from secateurs import models
from secateurs.criteria import (
    SNIP,
    ActivationMean,
    ActivationNorm,
    APoZ,
    Criterion,
    Fisher,
    GraSP,
    HRank,
    Taylor,
    score_together,
)
from secateurs.data import Batches, DataOptions, load
from secateurs.graph import Graph, trace

RESULT = Path(__file__).parent.parent / "docs" / "results" / "criteria.md"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGES, BATCH, SINGLE = 512, 128, 64
Data = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A criterion, and the passes that it needs."""

    title: str
    criteria: Sequence[Criterion]
    needs: str
    limit: float | None = 1.3


STREAMED = (ActivationMean(), ActivationNorm(), APoZ(), Taylor(), Taylor(at="gate"), Fisher(), SNIP())
ROWS = (
    Row(title="ActivationMean", criteria=[ActivationMean()], needs="forward"),
    Row(title="ActivationNorm", criteria=[ActivationNorm()], needs="forward"),
    Row(title="APoZ", criteria=[APoZ()], needs="forward"),
    Row(title="Taylor, gates", criteria=[Taylor(at="gate")], needs="to activations"),
    Row(title="Fisher, gates", criteria=[Fisher()], needs="to activations"),
    Row(title="Taylor, weights", criteria=[Taylor()], needs="to weights"),
    Row(title="SNIP", criteria=[SNIP()], needs="to weights"),
    Row(title="Fisher, weights (OBD)", criteria=[Fisher(at="weights")], needs="image by image"),
    Row(title="all of these but OBD, one pass", criteria=STREAMED, needs="to weights", limit=None),
    Row(title="GraSP", criteria=[GraSP()], needs="to weights", limit=None),
    Row(title="HRank", criteria=[HRank()], needs="forward", limit=None),
)


class Passes:
    """Plain passes over batches."""

    def __init__(self, model: nn.Module, batches: Data) -> None:
        self._model, self._batches = model, batches
        self._weights = list(model.parameters())

    def forward(self) -> None:
        """No gradients."""
        with torch.no_grad():
            for images, _ in self._batches:
                self._model(images)

    def to_weights(self) -> None:
        """Gradients of all weights."""
        for images, labels in self._batches:
            torch.autograd.grad(F.cross_entropy(self._model(images), labels), self._weights)

    def to_activations(self) -> None:
        """Gradients of what the stem leaves, through all activations and no weights."""
        stem: list[Tensor] = []

        def start(_module: nn.Module, _args: object, output: Tensor) -> Tensor:
            stem.append(output.detach().requires_grad_())
            return stem[-1]

        handle = self._model.get_submodule("bn1").register_forward_hook(start)
        self._model.requires_grad_(False)
        for images, labels in self._batches:
            loss = F.cross_entropy(self._model(images), labels)
            torch.autograd.grad(loss, stem.pop())
        self._model.requires_grad_(True)
        handle.remove()

    def image_by_image(self) -> None:
        """Gradients of all weights for each image."""
        for images, labels in self._batches:
            for number in range(len(images)):
                one = slice(number, number + 1)
                torch.autograd.grad(F.cross_entropy(self._model(images[one]), labels[one]), self._weights)


def seconds(work: Callable[[], object], device: str) -> float:
    """One call."""
    clock = time.thread_time if device == "cpu" else time.perf_counter
    start = clock()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


def measured(model: nn.Module, batches: Data, device: str, rounds: int) -> Mapping[str, list[float]]:
    """Seconds of all passes and rows, in every round that counts."""
    graph = trace(model, (batches[0][0][:1],))
    few = [(images[:SINGLE], labels[:SINGLE]) for images, labels in batches[:1]]
    passes, single = Passes(model, batches), Passes(model, few)
    jobs: dict[str, Callable[[], object]] = {
        "forward": passes.forward,
        "to activations": passes.to_activations,
        "to weights": passes.to_weights,
        "image by image": single.image_by_image,
    }
    jobs |= {row.title: _scoring(graph, row, few if row.needs == "image by image" else batches) for row in ROWS}
    found: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(rounds + 1):
        for name, job in jobs.items():
            spent = seconds(job, device)
            if number:
                found[name].append(spent)
    return found


def _scoring(graph: Graph, row: Row, batches: Data) -> Callable[[], object]:
    return lambda: score_together(graph, row.criteria, batches=batches, loss=F.cross_entropy)


def table(found: Mapping[str, Sequence[float]]) -> str:
    """Markdown; ratios are those of the medians, with the least and the most of the rounds' own ratios."""
    whole = statistics.median(found["to weights"])
    lines = [
        "| criterion | passes that it needs | these, ms | it, ms | ratio | forward-backward passes to weights |",
        "|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        needed, own = found[row.needs], found[row.title]
        ratios = [one / other for one, other in zip(own, needed, strict=True)]
        images = IMAGES / SINGLE if row.needs == "image by image" else 1
        lines.append(
            f"| {row.title} | {row.needs} | {1000 * statistics.median(needed):.0f} | "
            f"{1000 * statistics.median(own):.0f} | "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | "
            f"{images * statistics.median(own) / whole:.2f} |"
        )
    return "\n".join(lines)


def images_of(count: int, size: int, device: str) -> Data:
    """The first training images."""
    splits = load(DataOptions(name="cifar10", mean=MEAN, std=STD))
    batches = Batches(splits.train, batch_size=size, mean=MEAN, std=STD)
    found = []
    for images, labels in batches:
        found.append((images.to(device), labels.to(device)))
        if len(found) * size >= count:
            return found
    return found


def place(device: str) -> str:
    """Where this ran."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    hardware = torch.cuda.get_device_name() if device != "cpu" else f"one thread, {processor()}"
    return f"{hardware}, torch {torch.__version__}, commit {commit.stdout.strip()}"


def processor() -> str:
    """Its name as the system tells it."""
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.machine()


def main() -> None:
    """Print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = models.build("resnet20", classes=10)
    if options.weights:
        model.load_state_dict(load_file(options.weights))
    batches = images_of(IMAGES, BATCH, options.device)
    found = measured(model.to(options.device).eval(), batches, options.device, options.rounds)
    told = (
        f"{place(options.device)}, {'trained' if options.weights else 'new'} ResNet-20, {IMAGES} images in batches of "
        f"{BATCH} ({SINGLE} for those image by image), n={options.rounds}; ratio: median (least to most)."
    )
    print(told, table(found), sep="\n\n")
    if options.write:
        before = RESULT.read_text().partition("<!-- table -->")[0] if RESULT.exists() else "# What criteria cost\n\n"
        RESULT.write_text(f"{before}<!-- table -->\n{told}\n\n{table(found)}\n")


if __name__ == "__main__":
    main()
