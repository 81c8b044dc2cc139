"""How fast the training loss comes back after a cut: the optimizer cut along, against a new one.

    python -m benchmarks.recovery [--name mnist] [--optimizer sgd] [--out FOLDER] [--figure FILE.png]

Runs the recipe `train_time` (data where SECATEURS_DATA says) at a constant learning rate with three seeds, both ways,
noting every step's loss, for SGD with momentum and for Adam: four minutes on one core for MNIST. It prints the mean
loss of the first steps after the seven cuts, and the difference seed by seed.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from secateurs import recipes

Losses = npt.NDArray[np.float64]
SETTINGS = {
    "sgd": ("SGD with momentum 0.9, rate 0.02", {"optimizer": "sgd", "lr": 0.02}),
    "adam": ("Adam, rate 0.001", {"optimizer": "adam", "lr": 0.001, "weight_decay": 0.0}),
}
WAYS = {"cut along": "importance", "new": "rebuilt"}
SEEDS = (0, 1, 2)
FIRST = (1, 5, 20, 100)


def studied(name: str, setting: str, folder: Path) -> dict[str, Losses]:
    """Losses [seeds, cuts, steps] after the cuts, by what happens to the optimizer; runs what is not there yet."""
    content = recipes.read_yaml(recipes.find_recipe("train_time"))
    content["variants"] = {way: content["variants"][way] for way in WAYS.values()}
    content["for_data"][name].pop("variants.scratch", None)
    options = {f"stages.0.train.{key}": value for key, value in SETTINGS[setting][1].items()}
    options |= {"stages.0.train.schedule": "constant", "stages.0.train.record_steps": 1, "stages.0.restarts": False}
    changes = {"data.name": name, "seeds": list(SEEDS), "threads": 1, **options}
    recipe = recipes.parse(content, source="train_time", changes=changes)
    recipes.run(recipe, folder, recipes.RunOptions(resume=True))
    return {label: np.array([_losses(folder / way / str(seed)) for seed in SEEDS]) for label, way in WAYS.items()}


def _losses(run: Path) -> list[list[float]]:
    """Of the first epoch of every training but the first."""
    firsts: dict[str, list[float]] = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        firsts.setdefault(row["stage"], row["step_losses"])
    return list(firsts.values())[1:]


def table(found: dict[str, dict[str, Losses]]) -> str:
    """Mean loss of the first n steps after a cut."""
    lines = ["| optimizer | first steps | cut along | new | new minus cut along, by seed |", "|---|---|---|---|---|"]
    for setting, losses in found.items():
        for count in FIRST:
            kept, new = (losses[label][:, :, :count].mean((1, 2)) for label in WAYS)
            by_seed = ", ".join(f"{difference:+.4f}" for difference in new - kept)
            title = SETTINGS[setting][0]
            lines.append(f"| {title} | {count} | {kept.mean():.4f} | {new.mean():.4f} | {by_seed} |")
    return "\n".join(lines)


def draw(found: dict[str, dict[str, Losses]], path: Path) -> None:
    """Both curves: the mean over cuts and seeds, and the range over seeds."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(found), figsize=(4.5 * len(found), 3.4), dpi=110, sharey=True, squeeze=False)
    for place, (setting, losses) in zip(axes[0], found.items(), strict=True):
        for (label, values), colour in zip(losses.items(), ("#0072B2", "#D55E00"), strict=True):
            by_seed = values.mean(1)
            steps = np.arange(1, by_seed.shape[1] + 1)
            place.plot(steps, by_seed.mean(0), color=colour, label=f"optimizer {label}")
            place.fill_between(steps, by_seed.min(0), by_seed.max(0), color=colour, alpha=0.2, linewidth=0)
        place.set(title=SETTINGS[setting][0], xlabel="steps after a cut", xscale="log", yscale="log")
        place.grid(alpha=0.3)
    axes[0][0].set_ylabel("training loss")
    axes[0][0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="mnist")
    parser.add_argument("--optimizer", choices=SETTINGS, action="append")
    parser.add_argument("--out", type=Path, help="where the runs are kept, and found again")
    parser.add_argument("--figure", type=Path)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.out or Path(temporary)
        found = {one: studied(asked.name, one, folder / one) for one in asked.optimizer or SETTINGS}
    print(table(found))
    if asked.figure is not None:
        draw(found, asked.figure)


if __name__ == "__main__":
    main()
