"""Accuracy after retraining at equal measured multiply-adds, by one protocol for ours and Torch-Pruning's.

    python -m benchmarks.accuracy cpu --data FOLDER --log LOG --networks resnet20=cifar10_resnet20.safetensors [--write]
    python -m benchmarks.accuracy full --data FOLDER --log LOG --dense DIR --device cuda [--write]

Of every row: the same pretrained weights, the same 1,024 training images for scores and repair, a cut of at least the
share asked for counted on the network that is left, the same retraining (SGD with momentum 0.9, weight decay 5e-4,
cosine to zero, crops and flips; transformers by AdamW at a thirtieth of the rate), the weights of the last epoch. A
tenth of the training images is held back for validation and chooses the learning rate, once for each network and level:
the one of `--rates` that is best for cuts by the L1 norm, which thus have theirs, and all other rows the same. Test
images choose nothing.

`cpu` retrains the 8 rows that tell most, at 0.5 and 0.7, for 3 epochs; `full` all rows at 0.3, 0.5 and 0.7 for 100
epochs, on ResNet-20, ResNet-56 and a small vision transformer, which are first trained for 100 epochs where `--dense`
does not have them. Each result goes into the log at once, and one that is there is not made again; `--write` makes the
tables of docs/results/accuracy.md from it.
"""

import argparse
import copy
import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

import secateurs as sec
from benchmarks._cutting import Batches as Seen
from benchmarks._cutting import Cut, cuts_of, macs
from benchmarks._images import NORMAL
from benchmarks._small_vit import SmallViT
from benchmarks.criteria import place
from secateurs.data import Augment, Batches, BatchOptions, DataOptions, ImageSet, load
from secateurs.training import TrainOptions, evaluate, train

RESULT = Path(__file__).parent.parent / "docs" / "results" / "accuracy.md"
MARK = "<!-- tables -->"
CALIBRATION = 1024
TELLING = (
    "ours: Reconstruction, per MAC, repaired",
    "ours: Magnitude L1, uniform, repaired",
    "ours: Magnitude L1, uniform",
    "ours: Random, uniform",
    "Torch-Pruning: Magnitude, uniform",
    "Torch-Pruning: Taylor, global",
    "Torch-Pruning: FPGM, uniform",
    "Torch-Pruning: LAMP, global",
)
TUNED = "ours: Magnitude L1, uniform"


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What is run: `remove` the levels, `rows` patterns of names."""

    networks: Mapping[str, Path | None]
    remove: tuple[float, ...]
    seeds: int
    epochs: int
    rates: tuple[float, ...]
    rows: tuple[str, ...]
    epoch_images: int | None = None


class Protocol:
    """What all rows have in common."""

    def __init__(self, options: argparse.Namespace, grid: Grid) -> None:
        self.grid, self.device, self.log = grid, options.device, options.log
        mean, std = NORMAL["imagenet"]
        self.splits = load(
            DataOptions(path=options.data, validation_ratio=0.1, mean=mean, std=std, limit=options.limit)
        )
        self.precision = options.precision
        self.done = {_key(row) for row in read(self.log)}
        self.dense = options.dense

    def run(self) -> None:
        """The whole grid, less what is in the log."""
        for name, weights in self.grid.networks.items():
            model = self._pretrained(name, weights)
            seen = self._seen()
            self._keep({"network": name, "name": "dense", "remove": 0.0, "seed": 0, "removed": 0.0}, model, lr=None)
            for remove in self.grid.remove:
                rate = self._rate(name, model, seen, remove)
                held: dict[str, nn.Module] = {}
                for seed in range(self.grid.seeds):
                    for cut in cuts_of(model, seen, remove, self.grid.rows, seed=seed):
                        self._row(name, model, remove, _once(cut, held), seed=seed, lr=rate)

    def _rate(self, name: str, model: nn.Module, seen: Seen, remove: float) -> float:
        """Best on validation images for the L1 norm."""
        if len(self.grid.rates) == 1:
            return self.grid.rates[0]
        (cut,) = cuts_of(model, seen, remove, (TUNED,))
        for lr in self.grid.rates:
            self._row(name, model, remove, Cut(name=f"{cut.name} (lr {lr:g})", make=cut.make), seed=0, lr=lr)
        tried = [
            row
            for row in read(self.log)
            if row["network"] == name and row["remove"] == remove and row["name"].startswith(f"{TUNED} (lr")
        ]
        return float(max(tried, key=lambda row: row["validation"])["lr"])

    def _row(self, network: str, model: nn.Module, remove: float, cut: Cut, *, seed: int, lr: float) -> None:
        row = {"network": network, "name": cut.name, "remove": remove, "seed": seed}
        if _key(row) in self.done:
            return
        net = cut.make()
        example = torch.zeros(1, 3, 32, 32, device=self.device)
        row["removed"] = 1 - macs(net, example) / macs(model, example)
        row["before"] = self._accuracy(net, self.splits.test)
        self._keep(row, net, lr=lr)

    def _keep(self, row: dict[str, Any], net: nn.Module, *, lr: float | None) -> None:
        """Retrain, measure, write down."""
        if _key(row) in self.done:
            return
        if lr is not None:
            self._train(net, self.grid.epochs, lr, row["seed"])
        for part in ("validation", "test"):
            row[part] = self._accuracy(net, getattr(self.splits, part))
        row |= {"lr": lr, "epochs": self.grid.epochs, "epoch_images": self.grid.epoch_images}
        with self.log.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)

    def _train(self, net: nn.Module, epochs: int, lr: float, seed: int, *, whole: bool = False) -> None:
        augmented = BatchOptions(
            device=self.device,
            shuffle=True,
            epoch_images=None if whole else self.grid.epoch_images,
            augment=Augment(crop=4, flip=True),
            channels_last=True,
        )
        common: dict[str, Any] = {"seed": seed, "precision": self.precision, "device": self.device}
        if isinstance(net, SmallViT):
            options = TrainOptions(epochs=epochs, optimizer="adamw", lr=lr / 30, weight_decay=0.05, **common)
        else:
            options = TrainOptions(epochs=epochs, lr=lr, channels_last=True, **common)
        train(net, self._batches(self.splits.train, augmented, seed), options)

    def _batches(self, images: Any, options: BatchOptions, seed: int = 0) -> Batches:
        mean, std = self.splits.mean, self.splits.std
        return Batches(images, batch_size=128, mean=mean, std=std, seed=seed, options=options)

    def _accuracy(self, net: nn.Module, images: Any) -> float:
        plain = self._batches(images, BatchOptions(device=self.device, channels_last=True))
        return 100 * float(evaluate(copy.deepcopy(net), plain, device=self.device).accuracy)

    def _seen(self) -> Seen:
        """The first training images, as they are."""
        images = self.splits.train
        assert isinstance(images, ImageSet)
        first = ImageSet(
            images=images.images[:CALIBRATION],
            labels=images.labels[:CALIBRATION],
            indices=images.indices[:CALIBRATION],
            classes=images.classes,
        )
        return list(self._batches(first, BatchOptions(device=self.device)))

    def _pretrained(self, name: str, weights: Path | None) -> nn.Module:
        torch.manual_seed(0)
        model = SmallViT() if name == "small_vit" else sec.models.build(name, classes=10)
        file = weights or self.dense / f"{name}.safetensors"
        model.to(self.device)
        if not file.exists():
            self._train(model, 100, 0.05, seed=0, whole=True)
            self.dense.mkdir(parents=True, exist_ok=True)
            save_file({path: tensor.contiguous() for path, tensor in model.state_dict().items()}, file)
        model.load_state_dict(load_file(file, device=str(self.device)))
        return model.eval()


def _once(cut: Cut, held: dict[str, nn.Module]) -> Cut:
    """The same cut for every seed, made once, but for those by lot."""
    if "Random" in cut.name:
        return cut

    def make() -> nn.Module:
        if cut.name not in held:
            held[cut.name] = cut.make()
        return copy.deepcopy(held[cut.name])

    return Cut(name=cut.name, make=make)


def read(log: Path) -> list[dict[str, Any]]:
    """All rows so far."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[key] for key in ("network", "remove", "name", "seed"))


def tables(rows: Iterable[Mapping[str, Any]]) -> str:
    """One for each network and level."""
    found: dict[tuple[str, float], dict[str, list[Mapping[str, Any]]]] = {}
    for row in rows:
        found.setdefault((row["network"], row["remove"]), {}).setdefault(row["name"], []).append(row)
    return "\n\n".join(_table(*key, named) for key, named in found.items())


def _table(network: str, remove: float, named: Mapping[str, list[Mapping[str, Any]]]) -> str:
    lines = [
        f"## {network}, {remove:g} of the MACs",
        "| | MACs removed | before retraining | after: mean | spread over seeds | seeds | rate |",
        "|---|---|---|---|---|---|---|",
    ]
    lines[0] += "\n"
    for name, rows in sorted(named.items(), key=lambda item: -statistics.mean(row["test"] for row in item[1])):
        after = [row["test"] for row in rows]
        spread = f"{statistics.stdev(after):.2f}" if len(after) > 1 else "-"
        before = statistics.mean(row.get("before", row["test"]) for row in rows)
        rate = "-" if rows[0]["lr"] is None else f"{rows[0]['lr']:g}"
        removed = 100 * min(row["removed"] for row in rows)
        mean = statistics.mean(after)
        lines.append(f"| {name} | {removed:.2f} % | {before:.2f} | {mean:.2f} | {spread} | {len(after)} | {rate} |")
    return "\n".join(lines)


def grid_of(options: argparse.Namespace) -> Grid:
    """The grid that is asked for, with what the options change of it."""
    full = options.grid == "full"
    given = dict(text.partition("=")[::2] for text in options.networks)
    networks = {name: Path(file) if file else None for name, file in given.items()}
    return Grid(
        networks=networks or {"resnet20": None, **({"resnet56": None, "small_vit": None} if full else {})},
        remove=tuple(options.remove or ((0.3, 0.5, 0.7) if full else (0.5, 0.7))),
        seeds=options.seeds,
        epochs=options.epochs or (100 if full else 3),
        rates=tuple(options.rates),
        rows=tuple(options.rows or (("*",) if full else TELLING)),
        epoch_images=options.epoch_images,
    )


def main() -> None:
    """Run the grid; write the tables if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("grid", choices=("cpu", "full"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--dense", type=Path, default=Path("runs/dense"), help="where trained networks are kept")
    parser.add_argument("--networks", nargs="*", default=[], help="NAME or NAME=WEIGHTS")
    parser.add_argument("--remove", type=float, nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--epoch-images", type=int, help="images of an epoch, others in each; all unless given")
    parser.add_argument("--limit", type=int, help="of training images and of test images, to try it out")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.01, 0.03, 0.1])
    parser.add_argument("--rows", nargs="+")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=("auto", "32", "bf16"), default="auto")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.device == "cpu":
        torch.set_num_threads(1)
    Protocol(options, grid_of(options)).run()
    if options.write:
        before = RESULT.read_text().partition(MARK)[0] if RESULT.exists() else "# Accuracy after retraining\n\n"
        RESULT.write_text(f"{before}{MARK}\n\n{place(options.device)}.\n\n{tables(read(options.log))}\n")


if __name__ == "__main__":
    main()
