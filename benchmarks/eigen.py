"""Eigen cuts: what their statistics cost, and what is left of a trained network at equal multiply-adds.

    python benchmarks/eigen.py --weights cifar10_resnet20.safetensors --data FOLDER [--images 512] [--write]
    python benchmarks/eigen.py --weights FILE --data FOLDER --cuts --study eigen KronOBD Random --ratios 0.3 0.6

Factors against one forward and backward pass of training (gradients of all weights) over the same batches, in turns; on
the CPU one thread and the time of that thread, so that other work on the machine counts little. Then the accuracy on
test images of a pretrained ResNet-20 (CIFAR-10, or CIFAR-100 with shortcuts B) after cuts of equal multiply-adds,
before any retraining, and with `--study` after equal retraining: eigen, Kronecker criteria on branch units with and
without what makes up for filters, and magnitude. `--write` puts the tables into docs/results/eigen.md.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

import secateurs as sec
from secateurs import criteria
from secateurs.eigen import EigenOptions, FactorOptions, compensated, rotate
from secateurs.statistics import kronecker_factors

RESULT = Path(__file__).parent.parent / "docs" / "results" / "eigen.md"
NORMAL = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "cifar100": ((0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762)),
}
KINDS = ("channel", "branch")
Batches = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True)
class Given:
    """A trained ResNet-20 and its images, in batches of 128."""

    model: nn.Module
    train: Batches
    test: Batches


def images(folder: Path, part: str, count: int, normal: tuple[tuple[float, ...], tuple[float, ...]]) -> Batches:
    """The first images of a part of CIFAR-10 or CIFAR-100."""
    import datasets

    rows = datasets.load_dataset("parquet", data_files=str(folder / f"{part}*.parquet"), split=f"train[:{count}]")
    labels = rows["label" if "label" in rows.column_names else "fine_label"]
    pixels = torch.stack(
        [torch.frombuffer(bytearray(row.convert("RGB").tobytes()), dtype=torch.uint8) for row in rows["img"]]
    )
    mean, std = (torch.tensor(value)[:, None, None] for value in normal)
    shaped = (pixels.reshape(-1, 32, 32, 3).permute(0, 3, 1, 2).float() / 255 - mean) / std
    found = shaped.contiguous(memory_format=torch.channels_last)
    return list(zip(found.split(128), torch.tensor(labels).split(128), strict=True))


def given(options: argparse.Namespace) -> Given:
    """The network and images that the options say."""
    weights = load_file(options.weights)
    classes = next(len(value) for name, value in weights.items() if name.endswith(("linear.weight", "fc.weight")))
    normal = NORMAL["imagenet" if classes == 10 else "cifar100"]
    model = sec.models.build("resnet20", classes=classes, shortcut="A" if classes == 10 else "B")
    model.load_state_dict(weights, strict=False)
    train, test = (
        images(options.data, part, count, normal)
        for part, count in (("train-", max(options.images, options.epoch_images)), ("test", options.test))
    )
    return Given(model=model.eval().to(memory_format=torch.channels_last), train=train, test=test)


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


Cut = Callable[[nn.Module, Batches, float], nn.Module]


def units(name: str, by: str | None = None, **values: Any) -> Cut:
    """A cut of filters, single producers of sums among them; scores are looked up once."""
    known: dict[int, criteria.Scores] = {}

    def cut(model: nn.Module, batches: Batches, macs: float) -> nn.Module:
        graph = sec.trace(model, (batches[0][0][:1],))
        if id(model) not in known:
            known[id(model)] = criteria.build(name, **values)(graph, batches, F.cross_entropy)
        plan = sec.select(graph, known[id(model)], remove={"macs": macs}, kinds=KINDS)
        if by is not None:
            factors = kronecker_factors(model, batches, options=FactorOptions(inputs="patch"))
            model = compensated(model, plan, factors, by="weights" if by == "weights" else "filters")
        return sec.apply(model, plan, verify=False).model

    return cut


def eigen(**values: Any) -> Cut:
    """A cut of directions."""
    return lambda model, batches, macs: rotate(
        model, batches, remove={"macs": macs}, options=EigenOptions(**values), verify=False
    )


def cuts() -> dict[str, Cut]:
    """Every way to cut, by name."""
    sampled = FactorOptions(fisher="sampled")
    return {
        "eigen": eigen(),
        "KronOBD": units("kron_obd"),
        "Magnitude": units("magnitude"),
        "Magnitude, mean": units("magnitude", normalize="mean"),
        "Random": units("random"),
        "eigen, one threshold": eigen(order="importance"),
        "eigen, sampled labels": eigen(factors=sampled),
        "eigen, one threshold, sampled labels": eigen(order="importance", factors=sampled),
        "eigen, one threshold, sampled labels, three layers": eigen(order="importance", factors=sampled, fold=False),
        "eigen, empirical Fisher": eigen(factors=FactorOptions(fisher="empirical")),
        "eigen, three layers always": eigen(fold=False),
        "eigen, norms kept": eigen(norms="kept"),
        "eigen, limit 0.5": eigen(limit=0.5),
        "eigen, normalized": eigen(normalize=True),
        "eigen, EKFAC": eigen(ekfac=True),
        "eigen, patch": eigen(factors=FactorOptions(inputs="patch")),
        "eigen, Tucker": eigen(method="tucker"),
        "KronOBD, sampled labels": units("kron_obd", factors=FactorOptions(inputs="patch", fisher="sampled")),
        "KronOBS, compensated": units("kron_obs", "filters"),
        "COBD": units("c_obd"),
        "COBS, compensated": units("c_obs", "weights"),
    }


def table(names: list[str], first: str) -> list[str]:
    """The head of a table."""
    return [f"| {first} | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]


def accuracies(options: argparse.Namespace, has: Given) -> str:
    """The table of one-shot accuracies."""
    train = has.train[: -(-options.images // 128)]
    lines = [
        f"{options.images} training images for scores, {options.test} test images, one cut, no retraining. "
        f"Dense: {accuracy(has.model, has.test):.1f} %.",
        "",
        *table([f"{100 * ratio:.0f} % of MACs" for ratio in options.ratios], "cut"),
    ]
    print("\n".join(lines), flush=True)
    for name in options.cuts:
        cut = cuts()[name]
        cells = [f"{accuracy(cut(has.model, train, ratio), has.test):.1f}" for ratio in options.ratios]
        lines.append(f"| {name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def crop(x: Tensor, generator: torch.Generator) -> Tensor:
    """A batch moved by up to 4 pixels, and flipped or not, image by image."""
    padded = F.pad(x, (4, 4, 4, 4))
    moves = torch.randint(9, (len(x), 2), generator=generator)
    made = torch.stack([image[:, i : i + 32, j : j + 32] for image, (i, j) in zip(padded, moves.tolist(), strict=True)])
    flips = torch.rand(len(x), generator=generator) < 0.5
    return torch.where(flips[:, None, None, None], made.flip(3), made)


def retrained(model: nn.Module, has: Given, options: argparse.Namespace, seed: int) -> nn.Module:
    """SGD with momentum and Nesterov, cosine from `--lr`, bf16, crop and flip; the last weights."""
    generator = torch.Generator().manual_seed(seed)
    model = deepcopy(model).train().to(memory_format=torch.channels_last)
    x, y = (torch.cat(part)[: options.epoch_images] for part in zip(*has.train, strict=True))
    optimizer = torch.optim.SGD(model.parameters(), lr=options.lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = options.epochs * (len(x) // 128)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(options.epochs):
        order = torch.randperm(len(x), generator=generator)
        for rows in order[: len(x) // 128 * 128].split(128):
            batch = crop(x[rows], generator).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                loss = F.cross_entropy(model(batch), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def study(options: argparse.Namespace, has: Given) -> str:
    """The table before and after equal retraining, over seeds."""
    train, example = has.train[: -(-options.images // 128)], has.train[0][0][:1]
    dense = sec.cost(has.model, (example,)).macs
    known: dict[tuple[str, float], tuple[nn.Module, float]] = {}
    found: dict[tuple[str, float], list[tuple[float, float]]] = {}
    for seed in range(options.seeds):
        for key in [(name, ratio) for ratio in options.ratios for name in options.study]:
            if key not in known or key[0] == "Random":
                cut = units("random", seed=seed) if key[0] == "Random" else cuts()[key[0]]
                small = cut(has.model, train, key[1])
                known[key] = small, accuracy(small, has.test)
            small, before = known[key]
            after = accuracy(retrained(small, has, options, seed), has.test)
            found.setdefault(key, []).append((before, after))
            gone = 1 - sec.cost(small, (example,)).macs / dense
            print(f"{seed} {key[1]} {key[0]}: {before:.2f} {after:.2f}, {gone:.3f} of MACs gone", flush=True)
    lines = table([f"{100 * ratio:.0f} %, {when}" for ratio in options.ratios for when in ("cut", "retrained")], "cut")
    for name in options.study:
        cells = [spread([pair[side] for pair in found[name, ratio]]) for ratio in options.ratios for side in (0, 1)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Mean and standard deviation."""
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values) if len(values) > 1 else 0.0:.2f}"


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
    parser.add_argument("--images", type=int, default=512, help="training images for scores")
    parser.add_argument("--test", type=int, default=1024, help="test images")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5, help="timings of the factors; 0 for none")
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.1, 0.3])
    parser.add_argument("--cuts", nargs="*", default=list(cuts()), help="names of ways to cut, without retraining")
    parser.add_argument("--study", nargs="*", default=[], help="names of ways to cut and retrain")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--epoch-images", type=int, default=2048)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    name = torch.cuda.get_device_name() if options.device != "cpu" else f"one thread, {processor()}"
    parts = [f"{name}, torch {torch.__version__}, n={options.rounds}, median (least to most)."]
    if options.rounds:
        head = table(["forward and backward, ms", "channel factors, passes", "patch factors, passes"], "network")
        parts.append("\n".join(head + factor_costs(options.device, options.rounds)))
    print("\n\n".join(parts), flush=True)
    if options.weights is not None and options.data is not None:
        has = given(options)
        parts += [accuracies(options, has)] if options.cuts else []
        parts += [study(options, has)] if options.study else []
        print("\n\n".join(parts), flush=True)
    if options.write:
        before = RESULT.read_text().partition("<!-- table -->")[0] if RESULT.exists() else "# Eigen cuts\n\n"
        RESULT.write_text(f"{before}<!-- table -->\n" + "\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
