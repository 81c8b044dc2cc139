"""Killed at random moments, also while resuming, a study ends with the bytes of one that was left alone."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from secateurs.recipes._yaml import dump_yaml
from tests.recipes._studies import MEASURE, PRUNE, TRAIN, config
from tests.recipes.test_masks import FINETUNE, SCORES

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {"model": {"name": "resnet8", "options": {"width": 0.5}}, "batches": {"size": 32, "crop": 1}}
SCHEDULE: dict[str, Any] = {
    "type": "train_time",
    "initial_epochs": 2,
    "every": 1,
    "total_epochs": 6,
    "train": {"lr": 0.05, "record_steps": 3},
}
AUTOENCODER: dict[str, Any] = {
    **SCHEDULE,
    "kinds": ["hidden"],
    "protect": ["decoder.spread"],
    "train": {"optimizer": "adam", "lr": 0.005, "weight_decay": 0.0, "precision": "32", "record_steps": 3},
}
TIMES = {
    "seconds",
    "search_seconds",
    "before_seconds",
    "images_per_second",
    "latency",
    "latency_ms",
    "latency_on",
    "latency_warmup",
    "started",
    "ended",
    "resumes",
    "commit",
}
LIKE = {"stages.1.mode": "weights", "stages.1.like": "cut"}
RECIPES = {
    "stages": config(
        {**TRAIN, "epochs": 3},
        {**PRUNE, "keep_optimizer": True},
        {**TRAIN, "name": "retrain", "epochs": 3},
        MEASURE,
        {**PRUNE, "remove": {"macs": 0.2}},
        {**TRAIN, "name": "again", "epochs": 2, "optimizer": "adamw", "lr": 0.003, "ema": 0.9},
        **SMALL,
    ),
    "masks": config(TRAIN, SCORES, FINETUNE, {"type": "compact"}),
    "train_time": config({**SCHEDULE, "stop": {"removed": {"params": 0.25}}}),
    "search": config(
        TRAIN,
        {
            "type": "search",
            "levels": [0.2, 0.4, 0.6],
            "target": 0.5,
            "until": "all",
            "finetune_budget": 2,
            "train": {"lr": 0.02},
        },
    ),
    "autoencoder": config(
        AUTOENCODER, model={"name": "vae28", "options": {"filters": [4], "widths": [20, 10], "latent": 3}}
    ),
    "levels": config(
        {**TRAIN, "epochs": 1},
        {
            "type": "levels",
            "ratio": 0.2,
            "levels": 2,
            "protect": ["conv1"],
            "unitmem": {"images": 20, "augmentations": 2},
            "activations": "safetensors",
            "train": {"epochs": 2, "patience": 1},
        },
        variants={"cut": {}, "mask": {"stages.1.mode": "mask"}, "weights": LIKE},
        seeds=[0],
        **{**SMALL, "data": {"name": "digits", "limit": 200, "validation_ratio": 0.2}},
    ),
    "hold": config(
        {
            "type": "gates",
            "bias": 0.5,
            "costs": "macs",
            "supervised": {"epochs": 1, "penalty": 0.2, "train": {"lr": 0.05}},
            "reinforce": None,
        },
        {
            "type": "repeat",
            "times": 3,
            "hold": {"accuracy_drop": 0.02},
            "stages": [
                {"type": "eigen", "remove": {"macs": 0.2}, "images": 64, "protect": ["*.skip_gate.*"]},
                {**TRAIN, "epochs": 1},
            ],
        },
        {
            "type": "gates",
            "supervised": None,
            "reinforce": {"epochs": 1, "alpha": 2.0, "rl_weight": 1.0, "train": {"lr": 0.02}},
        },
        **{**SMALL, "data": {"name": "digits", "limit": 200, "validation_ratio": 0.2}},
    ),
    "study": config(TRAIN, PRUNE, variants={"slow": {"stages.0.lr": 0.001}, "fast": {}}, seeds=[0, 1]),
}


def without_times(value: Any) -> Any:
    """JSON without what differs between equal runs."""
    if isinstance(value, dict):
        return {key: without_times(inner) for key, inner in value.items() if key not in TIMES}
    return [without_times(inner) for inner in value] if isinstance(value, list) else value


def essence(path: Path) -> dict[str, Any]:
    """Every file of a run directory: weights, plans and the recipe byte by byte, JSON without times."""
    found: dict[str, Any] = {}
    for file in sorted(file for file in path.rglob("*") if file.is_file() and file.suffix not in (".png", ".html")):
        name = str(file.relative_to(path))
        if file.name == "metrics.jsonl":
            found[name] = [without_times(json.loads(line)) for line in file.read_text().splitlines()]
        elif file.name in ("run.json", "metrics.json", "probe.json"):
            found[name] = without_times(json.loads(file.read_text()))
        else:
            found[name] = file.read_bytes()
    return found


def carried_out(recipe: Path, out: Path, *, kills: int = 0, seconds: float = 0.0) -> tuple[int, float]:
    """`secateurs run` with so many kills at most, each within so many seconds; kills, and seconds of the last start."""
    command = [sys.executable, "-m", "tests.recipes._kills", str(recipe), str(out), str(kills), str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    log = out.with_suffix(".log")
    assert done.returncode == 0, done.stderr + (log.read_text()[-3000:] if log.exists() else "")
    count, last = done.stdout.split()
    return int(count), float(last)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("stages", 30),
        ("masks", 10),
        ("train_time", 8),
        ("search", 8),
        ("autoencoder", 8),
        ("levels", 10),
        ("hold", 10),
        ("study", 10),
    ],
)
def test_kills_at_random_moments_lose_nothing(name: str, wanted: int, tmp_path: Path) -> None:
    recipe = tmp_path / "small.yaml"
    recipe.write_text(dump_yaml(RECIPES[name]))
    _, seconds = carried_out(recipe, tmp_path / "whole")
    whole = essence(tmp_path / "whole")
    kills = directories = 0
    while kills < wanted:
        out = tmp_path / f"killed-{directories}"
        # Often a start gets nowhere, seldom to the end.
        count, _ = carried_out(recipe, out, kills=wanted - kills, seconds=0.6 * seconds)
        kills, directories = kills + count, directories + 1
        assert essence(out) == whole
    print(f"{name}: {kills} kills in {directories} runs, every one with the files of a run left alone")
