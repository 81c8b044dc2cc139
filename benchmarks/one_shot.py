"""Accuracy right after a cut, without retraining: our criteria with and without repair, and Torch-Pruning's.

    python -m benchmarks.one_shot --weights cifar10_resnet20.safetensors --data FOLDER --log one_shot.jsonl
        [--network resnet20] [--width 1.0] [--normal imagenet] [--remove 0.3 0.5 0.7] [--calibration 1024]
        [--test 10000] [--held-out] [--rows PATTERN ...] [--device cpu] [--precision 32] [--write]

Every row removes at least that share of the multiply-adds, counted on the network that is left, and takes it from the
same layers: the inner convolutions of residual blocks, whose zero-padded shortcuts keep the stream, or all of a VGG.
All rows see the same training images: for scores and repair the first `--calibration`, for statistics of batch norms
the first 2,048. Two accuracies: as cut, or repaired; and with statistics replaced by those of these images.
`--held-out` measures on training images 4,000 to 6,000 instead: for choosing, so that test images choose nothing. Each
row goes into the log once it is measured, and one that is there is not measured again: `--write` makes the tables of
docs/results/one_shot.md from it.
"""

import argparse
import copy
import json
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

import secateurs as sec
from benchmarks._cutting import Batches, cuts_of, macs
from benchmarks._images import NORMAL, first_images
from benchmarks.criteria import processor

RESULT = Path(__file__).parent.parent / "docs" / "results" / "one_shot.md"
RENEW = 2048
HELD_OUT = slice(4000, 6000)
MARK = "<!-- tables -->"
Net = nn.Module


def renewed(model: Net, batches: Batches) -> Net:
    """A copy with the statistics of these images, averaged over batches."""
    model = copy.deepcopy(model)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
    with torch.no_grad():
        for x, _ in batches:
            model(x)
    return model.eval()


@torch.no_grad()
def accuracy(model: Net, batches: Batches, precision: str = "32") -> float:
    """Per cent."""
    model = copy.deepcopy(model).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    right = 0
    for x, y in batches:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bf16"):
            right += int((model(x.contiguous(memory_format=torch.channels_last)).argmax(1) == y).sum())
    return 100 * right / sum(len(y) for _, y in batches)


def part(batches: Batches, which: slice, device: str) -> Batches:
    """Some of the images."""
    x, y = (torch.cat(parts)[which].to(device) for parts in zip(*batches, strict=True))
    return list(zip(torch.split(x, 128), torch.split(y, 128), strict=True))


class Measuring:
    """One network, and what its rows are measured with."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.model = _network(options)
        held_out, device = options.held_out, options.device
        count = 6000 if held_out else max(RENEW, options.calibration)
        train = first_images(options.data, "train", count, options.normal)
        test = train if held_out else first_images(options.data, "test", options.test, options.normal)
        self.test = part(test, HELD_OUT if held_out else slice(options.test), device)
        self.seen, self.renewing = (part(train, slice(n), device) for n in (options.calibration, RENEW))
        self.log = Path(options.log)
        self.done = {_key(row) for row in read(self.log)}

    def all(self) -> None:
        """All rows that are not in the log."""
        for remove in self.options.remove:
            self._row("dense", remove, lambda: self.model)
            for cut in cuts_of(self.model, self.seen, remove, self.options.rows):
                self._row(cut.name, remove, cut.make)

    def _row(self, name: str, remove: float, make: Any) -> None:
        options, example = self.options, self.seen[0][0]
        row = {key: getattr(options, key) for key in ("network", "width", "calibration", "precision")}
        row["weights"] = Path(options.weights).stem
        images_ = "held out" if options.held_out else options.test
        row |= {"remove": remove, "images": images_, "name": name}
        if _key(row) in self.done:
            return
        net = make()
        row["removed"] = 1 - macs(net, example) / macs(self.model, example)
        row["as_is"] = accuracy(net, self.test, options.precision)
        row["renewed"] = accuracy(renewed(net, self.renewing), self.test, options.precision)
        with self.log.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{remove:g} {name}: {row['removed']:.4f} removed, {row['as_is']:.2f}, {row['renewed']:.2f}", flush=True)


def _network(options: argparse.Namespace) -> Net:
    width: dict[str, Any] = {} if options.width == 1 else {"width": options.width}
    weights = load_file(options.weights)
    classes = next(
        len(value) for name, value in weights.items() if name.endswith(("linear.weight", "classifier.weight"))
    )
    shortcut: dict[str, Any] = {"shortcut": "B"} if any(".shortcut." in name for name in weights) else {}
    model = sec.models.build(options.network, classes=classes, **width, **shortcut)
    model.load_state_dict(weights)
    return model.eval().to(options.device)


def read(log: Path) -> list[dict[str, Any]]:
    """All rows so far."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(
        row[key] for key in ("network", "width", "weights", "calibration", "precision", "remove", "images", "name")
    )


def tables(rows: Iterable[Mapping[str, Any]]) -> str:
    """One for each network, level and set of images; gaps are those to the dense network."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(_key(row)[:-1], []).append(row)
    return "\n\n".join(_table(group) for group in groups.values())


def _table(rows: list[Mapping[str, Any]]) -> str:
    first = rows[0]
    width = "" if first["width"] == 1 else f" of {first['width']:g} times the width"
    images_ = "2,000 training images that nothing else looked at"
    images_ = images_ if first["images"] == "held out" else f"{first['images']:,} test images"
    lines = [
        f"## {first['network']}{width} ({first['weights']}), {first['remove']:g} of the MACs",
        f"{first['calibration']:,} images for scores and repair; accuracy on {images_}"
        + (", computed in bf16." if first["precision"] == "bf16" else "."),
        "| | MACs removed | as it is | statistics renewed | gap, renewed |\n|---|---|---|---|---|",
    ]
    dense = next((row["renewed"] for row in rows if row["name"] == "dense"), float("nan"))
    for row in rows:
        figures = f"{100 * row['removed']:.2f} % | {row['as_is']:.2f} | {row['renewed']:.2f}"
        lines[-1] += f"\n| {row['name']} | {figures} | {dense - row['renewed']:.2f} |"
    return "\n\n".join([*lines, _best(rows, dense)])


def _best(rows: list[Mapping[str, Any]], dense: float) -> str:
    found = {}
    for tool in ("ours", "Torch-Pruning"):
        own = [row for row in rows if row["name"].startswith(f"{tool}:")]
        found[tool] = max(own, key=lambda row: row["renewed"]) if own else None
    ours, theirs = found["ours"], found["Torch-Pruning"]
    if ours is None or theirs is None:
        return ""
    gaps = dense - ours["renewed"], dense - theirs["renewed"]
    names = f"`{ours['name']}` {gaps[0]:.2f} points, `{theirs['name']}` {gaps[1]:.2f}"
    return f"Gaps of the best rows: {names}: {gaps[0] / gaps[1]:.2f} of it."


def main() -> None:
    """Measure what is not in the log; write the tables if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--network", default="resnet20")
    parser.add_argument(
        "--normal", choices=tuple(NORMAL), default="imagenet", help="what the weights were trained with"
    )
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--remove", type=float, nargs="+", default=[0.3, 0.5, 0.7])
    parser.add_argument("--calibration", type=int, default=1024)
    parser.add_argument("--test", type=int, default=10_000)
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--rows", nargs="+", default=["*"], help="patterns of names, such as 'ours: Taylor*'")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=("32", "bf16"), default="32")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.device == "cpu":
        torch.set_num_threads(1)
    torch.manual_seed(0)
    Measuring(options).all()
    if options.write:
        before = RESULT.read_text().partition(MARK)[0] if RESULT.exists() else "# One shot\n\n"
        place = f"One thread of {processor() or platform.machine()}, torch {torch.__version__}."
        RESULT.write_text(f"{before}{MARK}\n\n{place}\n\n{tables(read(options.log))}\n")


if __name__ == "__main__":
    main()
