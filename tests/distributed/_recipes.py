"""Recipes on two ranks, started as a user starts them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from secateurs._files import load_tensors

__all__ = ["LAST", "child", "command", "finished", "recipe", "same", "start", "wait_for", "weights"]

LAST = "02-train"
_ROOT = Path(__file__).parents[2]


def recipe(folder: Path, *, epochs: int = 2, **changes: Any) -> Path:
    """A network without BatchNorm, trained, cut and trained on, on 180 digits and two ranks."""
    config = {
        "name": "small",
        "model": {"name": "mlp", "options": {"widths": [24]}},
        "data": {"name": "digits", "limit": 180},
        "batches": {"size": 64, "crop": 1},
        "device": "cpu",
        "devices": 2,
        "timeout_s": 20.0,
        "threads": 1,
        "stages": [
            {"type": "train", "epochs": epochs, "lr": 0.05, "precision": "32"},
            {"type": "prune", "remove": {"params": 0.4}, "keep_optimizer": True},
            {"type": "train", "epochs": 1, "lr": 0.02, "precision": "32"},
            {"type": "measure", "latency": False},
        ],
        **changes,
    }
    file = folder / "small.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


def command(file: Path, out: Path, *more: str) -> list[str]:
    """The command line that carries the recipe out in `out`."""
    return [sys.executable, "-m", "secateurs", "run", str(file), *more, "--out", str(out)]


def start(arguments: list[str]) -> "subprocess.Popen[str]":
    """A process, with one thread for each rank."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(arguments, stdout=pipe, stderr=pipe, text=True, cwd=_ROOT, env=environment)


def finished(arguments: list[str], code: int = 0) -> str:
    """Standard error of a command that ends with `code`."""
    process = start(arguments)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == code, errors
    return errors


def wait_for(happened: Any, process: "subprocess.Popen[str]") -> None:
    """Until `happened()`, while the process runs."""
    end = time.monotonic() + 120
    while not happened():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.05)


def child(process: "subprocess.Popen[str]", rank: int) -> int:
    """The process id of a rank that `process` has started."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == process.pid and f"RANK={rank}".encode() in environment:
            return int(folder.name)
    raise AssertionError(f"no rank {rank}")


def weights(out: Path, stage: str = LAST) -> dict[str, Tensor]:
    """The model that a stage left."""
    return {
        name: value.double() for name, value in load_tensors(out / "stages" / stage / "model.safetensors")[0].items()
    }


def same(a: Path, b: Path, stage: str = LAST) -> None:
    """Equal plans, and equal weights to within the rounding of float32."""
    plans = [json.loads((out / "stages" / "01-prune" / "plan.json").read_text())["removed"] for out in (a, b)]
    assert plans[0] == plans[1]
    left, right = weights(a, stage), weights(b, stage)
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert float((value - right[name]).norm()) <= 1e-6 * float(value.norm()), name
    assert all(torch.isfinite(value).all() for value in left.values())
