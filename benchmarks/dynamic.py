"""What skipping blocks saves in time: gated networks against the full ones and against the ideal.

    python benchmarks/dynamic.py [--device cpu] [--rounds 5] [--batches 1 256] [--networks NAME ...] [--write]

Decisions are given: a fraction of the gated blocks is skipped, for one image some of them, in a batch each block for
that fraction of the images, by lot. Gates are computed all the same. The ideal is the full network's time without what
is skipped, by the measured times of its blocks, plus the measured time of the gates. Everything takes turns within a
round, the first round is not counted; on the CPU one thread works, and the time is its own, so that other work on the
machine counts little. `--write` puts the table into docs/results/dynamic.md.
"""

import argparse
import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from secateurs import models
from secateurs.dynamic import Given, HeadKind, deciding, gate, gates_of

RESULT = Path(__file__).parent.parent / "docs" / "results" / "dynamic.md"
RATES = (0.0, 0.25, 0.5, 0.75)
NETWORKS: dict[str, tuple[str, HeadKind]] = {
    "ResNet-32x4, rnn": ("resnet32x4", "rnn"),
    "ResNet-32x4, ff2": ("resnet32x4", "ff2"),
    "ResNet-38, rnn": ("resnet38", "rnn"),
    "ResNet-38, ff1": ("resnet38", "ff1"),
    "ResNet-110, rnn": ("resnet110", "rnn"),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """Seconds of one round."""

    full: float
    gated: float
    ideal: float


class Watch:
    """The clock of a device."""

    def __init__(self, device: str) -> None:
        self.gpu = device != "cpu"

    def now(self) -> float:
        """Seconds; what was asked for has been done."""
        if self.gpu:
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.thread_time()

    def of(self, work: Callable[[], object]) -> float:
        """Seconds of one call."""
        start = self.now()
        work()
        return self.now() - start

    def parts(self, modules: dict[str, nn.Module], work: Callable[[], object]) -> dict[str, float]:
        """Seconds within each module during one call."""
        spent: dict[str, float] = defaultdict(float)
        handles = []
        for name, module in modules.items():
            handles.append(module.register_forward_pre_hook(lambda _m, _a, name=name: self._add(spent, name, -1)))
            handles.append(module.register_forward_hook(lambda _m, _a, _o, name=name: self._add(spent, name, 1)))
        work()
        for handle in handles:
            handle.remove()
        return spent

    def _add(self, spent: dict[str, float], name: str, sign: int) -> None:
        spent[name] += sign * self.now()


def decisions_of(gates: int, images: int, rate: float) -> Tensor:
    """bool [gates, images]: of one image, so many blocks are skipped; of several, each block for so many."""
    generator = torch.Generator().manual_seed(0)
    if images == 1:
        skipped = torch.randperm(gates, generator=generator)[: round(rate * gates)]
        return torch.ones(gates, 1).index_fill(0, skipped, 0).bool()
    order = torch.rand(gates, images, generator=generator).argsort(1)
    return order >= round(rate * images)


class Case:
    """A network with and without gates, on one batch."""

    def __init__(self, network: str, head: HeadKind, images: int, watch: Watch, device: str) -> None:
        torch.manual_seed(0)
        self.watch, self.images = watch, images
        self.x = torch.randn(images, 3, 32, 32).to(device)
        self.full = models.build(network).to(device).eval()
        self.gated = gate(self.full, (self.x[:1],), head=head, seed=0).eval()
        self.gates = gates_of(self.gated)

    def round(self) -> dict[float, Row]:
        """One measurement of each rate."""
        blocks = {path: self.full.get_submodule(path) for path in self.gates}
        kept = {path: gate.path.weighing(blocks[path]) for path, gate in self.gates.items()}
        projections = {
            f"{path}.{name}": blocks[path].get_submodule(name) for path, names in kept.items() for name in names
        }
        full = self.watch.of(lambda: self.full(self.x))
        spent = self.watch.parts({**blocks, **projections}, lambda: self.full(self.x))
        savings = [spent[path] - sum(spent[f"{path}.{name}"] for name in kept[path]) for path in blocks]
        return {rate: self._row(full, savings, rate) for rate in RATES}

    def _row(self, full: float, savings: list[float], rate: float) -> Row:
        decisions = decisions_of(len(self.gates), self.images, rate)
        with deciding(self.gated, Given(decisions.to(self.x.device))):
            gated = self.watch.of(lambda: self.gated(self.x))
            spent = sum(self.watch.parts(dict(self.gates), lambda: self.gated(self.x)).values())
        skipped = (~decisions).double().mean(1).tolist()
        saved = sum(part * saving for part, saving in zip(skipped, savings, strict=True))
        return Row(full=full, gated=gated, ideal=full - saved + spent)


def measured(case: Case, rounds: int) -> list[dict[float, Row]]:
    """All rounds but the first; more of them for one image, which takes no time."""
    count = rounds if case.images > 1 else 10 * rounds
    with torch.no_grad():
        return [case.round() for _ in range(count + 1)][1:]


def told(values: list[float], digits: int) -> str:
    """Median, least and most."""
    least, most = (f"{end(values):.{digits}f}" for end in (min, max))
    return f"{statistics.median(values):.{digits}f} ({least} to {most})"


def lines(name: str, case: Case, rows: list[dict[float, Row]]) -> list[str]:
    """Of the table, one for each rate."""
    found = []
    for rate in RATES:
        own = [row[rate] for row in rows]
        cells = [
            name,
            str(case.images),
            f"{100 * rate:.0f} %",
            f"{1000 * statistics.median(row.full for row in own):.1f}",
            f"{1000 * statistics.median(row.gated for row in own):.1f}",
            told([row.gated / row.full for row in own], 2),
            told([row.gated / row.ideal for row in own], 2),
            str(len(own)),
        ]
        found.append(f"| {' | '.join(cells)} |")
    return found


def main() -> None:
    """Print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 256])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    place = torch.cuda.get_device_name() if options.device != "cpu" else f"one thread, {processor()}"
    title = "| network, gates | batch | skipped | full, ms | gated, ms | gated / full | gated / ideal | n |"
    table = [title, "|---|---|---|---|---|---|---|---|"]
    for name in options.networks:
        for images in options.batches:
            case = Case(*NETWORKS[name], images, Watch(options.device), options.device)
            found = lines(name, case, measured(case, options.rounds))
            print("\n".join(found), flush=True)
            table += found
    heading = f"{place}, torch {torch.__version__}; medians (least to most)."
    print(heading)
    if options.write:
        before = RESULT.read_text().partition("<!-- table -->")[0] if RESULT.exists() else "# Skipped blocks\n\n"
        RESULT.write_text(f"{before}<!-- table -->\n{heading}\n\n" + "\n".join(table) + "\n")


def processor() -> str:
    """Its name as the system tells it."""
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.machine()


if __name__ == "__main__":
    main()
