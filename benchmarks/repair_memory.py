"""How much memory repair takes: ResNet-50 on images of 224 x 224 pixels.

    python -m benchmarks.repair_memory [--images 16 32 64] [--batch 16] [--criterion magnitude] [--write]

Each number of images in a process of its own, whose peak is told beside what it held before: weights of a new network,
random images, half of the multiply-adds removed. Images (0.57 MiB each) are made one batch at a time, as they are asked
for, and held by repair until it is done.
`--write` puts the table into docs/results/repair_memory.md.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch

import secateurs as sec
from benchmarks._record import peak_bytes
from benchmarks.criteria import place

RESULT = Path(__file__).parent.parent / "docs" / "results" / "repair_memory.md"
MIB = 2**20


def batches(images: int, size: int) -> Iterator[torch.Tensor]:
    """Random ones."""
    generator = torch.Generator().manual_seed(0)
    for first in range(0, images, size):
        yield torch.randn(min(size, images - first), 3, 224, 224, generator=generator)


def measure(images: int, size: int, criterion: str) -> str:
    """One row, in this process."""
    torch.manual_seed(0)
    model = sec.models.build("resnet50").eval()
    example = torch.zeros(1, 3, 224, 224)
    graph = sec.trace(model, args=(example,))
    scores = sec.criteria.build(criterion)(graph, batches(images, size), None)
    scored = peak_bytes()
    plan = sec.select(graph, scores, remove={"macs": 0.5}, scope="layerwise")
    result = sec.apply(model, plan, verify=False)
    before, start = peak_bytes(), time.process_time()
    sec.repair(result, batches(images, size))
    peak, spent = peak_bytes(), time.process_time() - start
    return f"| {images} | {size} | {scored / MIB:,.0f} | {before / MIB:,.0f} | {peak / MIB:,.0f} | {spent:.0f} |"


def main() -> None:
    """Print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--criterion", default="magnitude")
    parser.add_argument("--here", action="store_true", help="in this process, the first number of images alone")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.here:
        print(measure(options.images[0], options.batch, options.criterion))
        return
    head = ["images", "of a batch", "peak after scores, MiB", "before repair, MiB", "peak, MiB", "repair, CPU s"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for images in options.images:
        command = [sys.executable, "-m", "benchmarks.repair_memory", "--here", "--images", str(images)]
        command += ["--batch", str(options.batch), "--criterion", options.criterion]
        lines.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
        print(lines[-1], flush=True)
    if options.write:
        before = RESULT.read_text().partition("<!-- table -->")[0] if RESULT.exists() else "# Memory of repair\n\n"
        table = "\n".join(lines)
        RESULT.write_text(f"{before}<!-- table -->\n{place('cpu')}, scores by {options.criterion}.\n\n{table}\n")


if __name__ == "__main__":
    main()
