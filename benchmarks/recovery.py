"""How fast the training loss comes back after a cut: the optimizer cut along, against a new one.

    python -m benchmarks.recovery [--name mnist] [--optimizer sgd] [--out FOLDER] [--figure FILE.png]

Runs the recipe `train_time` (data where SECATEURS_DATA says) at a constant learning rate with three seeds, both ways,
noting every step's loss, for SGD with momentum and for Adam: four minutes on one core for MNIST. It prints the mean
loss of the first steps after the seven cuts and validation accuracy after the epochs that follow, and the differences
seed by seed.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from secateurs import recipes

Values = npt.NDArray[np.float64]
SETTINGS = {
    "sgd": ("SGD with momentum 0.9, rate 0.02", {"optimizer": "sgd", "lr": 0.02}),
    "adam": ("Adam, rate 0.001", {"optimizer": "adam", "lr": 0.001, "weight_decay": 0.0}),
}


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """After the cuts of some runs.

    Attributes:
        losses: [seeds, cuts, steps of the first epoch after a cut].
        accuracy: [seeds, cuts, epochs after a cut], of validation images, %.
    """

    losses: Values
    accuracy: Values


WAYS = {"cut along": "importance", "new": "rebuilt"}
SEEDS = (0, 1, 2)
FIRST = (1, 5, 20, 100)
EPOCHS = (1, 2, 5, 10)


def studied(name: str, setting: str, folder: Path) -> dict[str, Recovery]:
    """By what happens to the optimizer; runs what is not there yet."""
    content = recipes.read_yaml(recipes.find_recipe("train_time"))
    content["variants"] = {way: content["variants"][way] for way in WAYS.values()}
    content["for_data"][name].pop("variants.scratch", None)
    options = {f"stages.0.train.{key}": value for key, value in SETTINGS[setting][1].items()}
    options |= {"stages.0.train.schedule": "constant", "stages.0.train.record_steps": 1, "stages.0.restarts": False}
    changes = {"data.name": name, "seeds": list(SEEDS), "threads": 1, **options}
    recipe = recipes.parse(content, source="train_time", changes=changes)
    recipes.run(recipe, folder, recipes.RunOptions(resume=True))
    return {label: _recovery([folder / way / str(seed) for seed in SEEDS]) for label, way in WAYS.items()}


def _recovery(runs: Sequence[Path]) -> Recovery:
    by_run = []
    for run in runs:
        trainings: dict[str, list[dict[str, Any]]] = {}
        for line in (run / "metrics.jsonl").read_text().splitlines():
            row = json.loads(line)
            trainings.setdefault(row["stage"], []).append(row)
        by_run.append(list(trainings.values())[1:])
    accuracy = [[[row["validation_accuracy"] for row in rows] for rows in trainings] for trainings in by_run]
    return Recovery(
        losses=np.array([[rows[0]["step_losses"] for rows in trainings] for trainings in by_run]),
        accuracy=100 * np.array(accuracy),
    )


def table(found: dict[str, dict[str, Recovery]]) -> str:
    """Mean loss of the first n steps after a cut, at all cuts and at the first; accuracy n epochs after."""
    lines = ["| optimizer | | cut along | new | new minus cut along, by seed |", "|---|---|---|---|---|"]
    for setting, ways in found.items():
        title, kept, new = SETTINGS[setting][0], ways["cut along"], ways["new"]
        for count in FIRST:
            before, after = (one.losses[:, :, :count].mean((1, 2)) for one in (kept, new))
            lines.append(f"| {title} | loss, steps 1 to {count} | {_cells(before, after, 4)}")
        before, after = (one.losses[:, 0, :20].mean(1) for one in (kept, new))
        lines.append(f"| {title} | the same at the first cut, 20 steps | {_cells(before, after, 4)}")
        for epoch in EPOCHS:
            before, after = (one.accuracy[:, :, epoch - 1].mean(1) for one in (kept, new))
            lines.append(f"| {title} | validation accuracy in epoch {epoch}, % | {_cells(before, after, 2)}")
    return "\n".join(lines)


def _cells(kept: Values, new: Values, digits: int) -> str:
    by_seed = ", ".join(f"{difference:+.{digits}f}" for difference in new - kept)
    return f"{kept.mean():.{digits}f} | {new.mean():.{digits}f} | {by_seed} |"


def draw(found: dict[str, dict[str, Recovery]], path: Path) -> None:
    """Both curves: the mean over cuts and seeds, and the range over seeds."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(found), figsize=(4.5 * len(found), 3.4), dpi=110, sharey=True, squeeze=False)
    for place, (setting, ways) in zip(axes[0], found.items(), strict=True):
        for (label, recovery), colour in zip(ways.items(), ("#0072B2", "#D55E00"), strict=True):
            by_seed = recovery.losses.mean(1)
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
