"""How fast analysing and cutting is: ours beside Torch-Pruning, its growth, and what torch itself takes of it.

    python -m benchmarks.tracing [--runs 5] [--models resnet56 tv.resnet50 timm.vit_base_patch16_224] [--markdown FILE]

Both tools cut half of the units of every axis they find, alternating in one process after a round on another model
that does not count. Ours is trace + score + select + cut in place without the proof; theirs is building the dependency
graph + step, with the last linear layer ignored. `tv.` and `timm.` models come from torchvision and timm, where they
are importable. Times are those of the one thread that works (`time.thread_time`), so that other programs on the
machine do not count.
"""

import argparse
import copy
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

import secateurs as sec
from benchmarks.libraries._schemas import import_torchvision
from benchmarks.surgery import theirs

MODELS = (
    *("resnet20", "resnet56", "vgg16_bn", "resnet18", "resnet50", "tv.densenet201", "tv.mobilenet_v2"),
    *("tv.efficientnet_b0", "timm.vit_base_patch16_224", "timm.convnext_tiny", "tv.swin_t"),
)
DEPTHS = (50, 100, 200, 400)
SKIPPED = ("tv.swin_t",)
"""Models that Torch-Pruning does not finish within minutes."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Seconds of one model."""

    name: str
    operators: int
    stages: dict[str, list[float]]
    peer: list[float]
    meta: float
    fake: float

    @property
    def total(self) -> float:
        """Median of ours."""
        return statistics.median(map(sum, zip(*self.stages.values(), strict=True)))

    @property
    def spread(self) -> float:
        """Longest minus shortest of ours."""
        totals = [sum(times) for times in zip(*self.stages.values(), strict=True)]
        return max(totals) - min(totals)

    @property
    def ratio(self) -> float | None:
        """Theirs over ours."""
        return statistics.median(self.peer) / self.total if self.peer else None


class Chain(nn.Module):
    """Convolutions one after the other, added up in pairs."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(16, 16, 3, padding=1) for _ in range(depth))
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, 3, H, W] to [batch, 10]."""
        x = held = self.stem(x)
        for number, conv in enumerate(self.convs):
            x = conv(x).relu()
            if number % 2:
                x = held = x + held
        out: Tensor = self.head(x.mean((2, 3)))
        return out


def build(name: str) -> tuple[nn.Module, Tensor]:
    """A model and an image for it."""
    library, _, short = name.rpartition(".")
    if library:
        import_torchvision()
    if library == "tv":
        models = import_module("torchvision.models")
        return getattr(models, short)(weights=None).eval(), torch.randn(1, 3, 224, 224)
    if library == "timm":
        model = import_module("timm").create_model(short, pretrained=False).eval()
        return model, torch.randn(1, *model.default_cfg["input_size"])
    return sec.models.build(name).eval(), torch.randn(1, *sec.models.TABLE[name].input_shape)


def stages(model: nn.Module, x: Tensor) -> dict[str, float]:
    """Seconds of each step of ours."""
    times = [time.thread_time()]
    graph = sec.trace(model, (x,))
    times.append(time.thread_time())
    scores = sec.criteria.Magnitude()(graph)
    times.append(time.thread_time())
    plan = sec.select(graph, scores, scope={"*": 0.5})
    times.append(time.thread_time())
    sec.apply(model, plan, inplace=True, verify=False)
    times.append(time.thread_time())
    names = ("trace", "score", "select", "cut")
    return {name: end - start for name, start, end in zip(names, times, times[1:], strict=False)}


def timed(job: Callable[[], object]) -> float:
    """Seconds of this thread."""
    start = time.thread_time()
    job()
    return time.thread_time() - start


def dispatch(model: nn.Module, x: Tensor) -> tuple[float, float]:
    """Seconds of the second forward pass on meta and on fake tensors, which any tracer would have to wait for."""
    hollow = copy.deepcopy(model).to("meta")
    fakes = FakeTensorMode(allow_non_fake_inputs=True)
    with torch.no_grad():
        meta = [timed(lambda: hollow(x.to("meta"))) for _ in range(2)]
        with fakes:
            fake = [timed(lambda: model(fakes.from_tensor(x))) for _ in range(2)]
    return meta[-1], fake[-1]


def measure(name: str, runs: int, *, peer: bool) -> Row:
    """All figures of a model."""
    model, x = build(name)
    found: list[dict[str, float]] = []
    others = []
    for _ in range(runs):
        found.append(stages(copy.deepcopy(model), x))
        if peer:
            fresh = copy.deepcopy(model)
            others.append(timed(lambda fresh=fresh: theirs(fresh, x)))  # type: ignore[misc]
    meta, fake = dispatch(model, x)
    operators = sec.trace(model, (x,)).operators
    steps = {step: [times[step] for times in found] for step in found[0]}
    return Row(name=name, operators=operators, stages=steps, peer=others, meta=meta, fake=fake)


def growth(runs: int) -> list[tuple[int, int, float]]:
    """Layers, operators and median seconds of ours for deeper and deeper chains."""
    rows = []
    for depth in DEPTHS:
        model, x = Chain(depth).eval(), torch.randn(1, 3, 16, 16)
        seconds = [sum(stages(copy.deepcopy(model), x).values()) for _ in range(runs)]
        rows.append((depth, sec.trace(model, (x,)).operators, statistics.median(seconds)))
    return rows


def show(rows: Sequence[Row], chains: Sequence[tuple[int, int, float]], runs: int) -> str:
    """Both tables, as Markdown."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    lines = [
        f"{_processor()}, 1 thread, torch {torch.__version__}, n={runs}, commit {commit.strip() or 'unknown'}; medians",
        "in milliseconds of the working thread.",
        "",
        "| model | operators | trace | score | select | cut | ours | spread | Torch-Pruning | theirs / ours |"
        " forward on meta | on fake |",
        "|" + "---|" * 12,
    ]
    for row in rows:
        steps = " | ".join(f"{statistics.median(times) * 1000:,.1f}" for times in row.stages.values())
        peer = f"{statistics.median(row.peer) * 1000:,.1f} | {row.ratio:.1f}" if row.peer else "not run | "
        lines.append(
            f"| {row.name} | {row.operators} | {steps} | {row.total * 1000:,.1f} | {row.spread * 1000:,.1f} | {peer} |"
            f" {row.meta * 1000:,.1f} | {row.fake * 1000:,.1f} |"
        )
    ratios = [row.ratio for row in rows if row.ratio]
    if ratios:
        lines += ["", f"Geometric mean of theirs / ours: {statistics.geometric_mean(ratios):.2f}."]
    lines += ["", "| layers | operators | ours | per operator |", "|---|---|---|---|"]
    lines += [f"| {d} | {n} | {t * 1000:,.1f} | {t / n * 1000:.3f} |" for d, n, t in chains]
    return "\n".join(lines)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(": ")[2] if names else platform.processor() or platform.machine()


def main() -> None:
    """Print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    peer = find_spec("torch_pruning") is not None
    measure("resnet9", 1, peer=peer)
    rows = []
    for name in options.models:
        library = {"tv": "torchvision", "timm": "timm"}.get(name.rpartition(".")[0])
        if library is None or find_spec(library):
            rows.append(measure(name, options.runs, peer=peer and name not in SKIPPED))
            print(show(rows[-1:], [], options.runs).splitlines()[5], flush=True)
    text = show(rows, growth(options.runs), options.runs)
    print(text)
    if options.markdown:
        options.markdown.write_text(f"# How fast analysing and cutting is\n\n{text}\n")


if __name__ == "__main__":
    main()
