"""What runs say about pruning for a subset of the classes, each by how its network came to be."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from secateurs.reporting._record import RunRecord

__all__ = ["ALL", "WAYS", "Removed", "SubsetRun", "compares", "removed_sets", "subset_runs"]

ALL = "entire_dataset"

WAYS = {
    "unpruned": "unpruned: not trained on the subset",
    "fine_tuned": "fine-tuned on the subset, unpruned",
    "aware": "aware: fine-tuned on the subset, then cut",
    "retrained": "cut first, then trained on the subset",
    "agnostic_steps": "agnostic, with shorter epochs",
    "agnostic": "agnostic: cut and trained on all classes",
}
"""How a network came to be, in the order and the words of tables and pictures."""


@dataclass(frozen=True, kw_only=True)
class SubsetRun:
    """One network, judged on one subset.

    Attributes:
        network: its name.
        subset: that it was judged on.
        way: key of `WAYS`.
        percent: asked to be removed; 0 for whole networks.
        seed: of the run.
        accuracy: by the highest score of all classes, in percent, on test images of the subset.
        among: the same by the highest score of the subset's classes; None where it was not measured.
        gops: of one image's inference.
        mb: of all parameters.
        train_gops: forward and backward over all images of all epochs; None where the run has not counted it.
        seconds: of training and cutting.
    """

    network: str
    subset: str
    way: str
    percent: int
    seed: int
    accuracy: float
    among: float | None
    gops: float
    mb: float
    train_gops: float | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Removed:
    """What one cut took.

    Attributes:
        network: its name.
        classes: that the network had been trained on when it was cut; those of everything where it was cut first.
        percent: asked to be removed.
        seed: of the run.
        channels: layer to the outputs that went.
        before: weights before the cut; None where the run did not write them.
        after: weights right after it.
    """

    network: str
    classes: str
    percent: int
    seed: int
    channels: Mapping[str, Sequence[int]]
    before: Path | None
    after: Path


def subset_runs(runs: Iterable[RunRecord]) -> list[SubsetRun]:
    """All finished runs that measure accuracy, once for each subset that they are judged on."""
    return [found for run in runs if _counts(run) for found in _judged(run)]


def compares(runs: Sequence[SubsetRun]) -> bool:
    """Whether there is a network that was cut for a subset of the classes."""
    return any(run.way in ("aware", "retrained") for run in runs)


def removed_sets(runs: Iterable[RunRecord]) -> list[Removed]:
    """What the first cut of each run took; equal cuts of networks that no training has changed are there once."""
    found: dict[tuple[str, str, int, int], Removed] = {}
    for run in runs:
        if not _counts(run):
            continue
        removed = _removed(run)
        if removed is not None:
            seed = removed.seed if removed.before is not None else 0
            found.setdefault((removed.network, removed.classes, removed.percent, seed), removed)
    return list(found.values())


def _counts(run: RunRecord) -> bool:
    state = run.state
    return (
        state.get("status") == "finished"
        and "network" in state
        and bool(run.stages("measure"))
        # What a search ends with was not asked for.
        and not run.stages("search")
        and "test_accuracy" in run.stages("measure")[-1]["results"].get("after", {})
    )


def _judged(run: RunRecord) -> Iterator[SubsetRun]:
    state, measured = run.state, run.stages("measure")[-1]["results"]
    after, percent = measured["after"], _percent(run)
    here = str(state.get("subset") or ALL)
    train_gops, seconds = _training(run)
    for subset, figures in {here: after, **measured.get("subsets", {})}.items():
        way = _way(run, here, subset, percent)
        if way is None:
            continue
        among = figures.get("test_accuracy_among")
        yield SubsetRun(
            network=str(state["network"]),
            subset=subset,
            way=way,
            percent=percent,
            seed=int(state.get("seed", 0)),
            accuracy=100 * float(figures["test_accuracy"]),
            among=None if among is None else 100 * float(among),
            gops=2e-9 * after["macs"],
            mb=1e-6 * 4 * after["params"],
            train_gops=train_gops,
            seconds=seconds,
        )


def _percent(run: RunRecord) -> int:
    """Asked, of the whole network; what is gone where the cut was made by another run."""
    asked = (run.state.get("summary") or {}).get("asked") or {}
    gone = run.stages("measure")[-1]["results"].get("removed_params", 0.0)
    return round(100 * float(asked.get("params", gone)))


def _way(run: RunRecord, here: str, subset: str, percent: int) -> str | None:
    """None where the network was made for other classes than it is judged on."""
    before, after = _epochs(run)
    # Without a training here, the weights' own counts.
    classes = here if before + after else str(run.state.get("trained_on") or ALL)
    if classes not in (ALL, subset):
        return None
    if not percent:
        return "fine_tuned" if classes != ALL and before + after else "unpruned"
    if classes != ALL:
        return "retrained" if after and not before else "aware"
    pace = run.state.get("epoch_images")
    if pace is None:
        return "agnostic"
    return "agnostic_steps" if isinstance(pace, int) or pace == subset else None


def _epochs(run: RunRecord) -> tuple[int, int]:
    """Before the first cut and after it; without a cut, all are before it."""
    sides, is_cut = [0, 0], False
    for stage in run.state["stages"]:
        results = stage.get("results") or {}
        is_cut = is_cut or "axes" in results
        sides[is_cut] += int(results.get("epochs", 0))
    return sides[0], sides[1]


def _training(run: RunRecord) -> tuple[float | None, float]:
    before, after = _epochs(run)
    trained = [stage for stage in run.state["stages"] if {"epochs", "axes"} & (stage.get("results") or {}).keys()]
    seconds = float(sum(stage["seconds"] for stage in trained))
    if not before + after:
        return 0.0, seconds
    counted = run.stages("gops")
    if not counted or len([stage for stage in trained if "axes" in stage["results"]]) > 1:
        return None, seconds
    gops = counted[-1]["results"]["gops"]
    sides = [(gops[side] or {}).get("training_gops", {}).get("epoch", 0.0) for side in ("unpruned", "pruned")]
    return before * sides[0] + after * sides[1], seconds


def _removed(run: RunRecord) -> Removed | None:
    stages = run.state["stages"]
    cut = next((number for number, stage in enumerate(stages) if "axes" in (stage.get("results") or {})), None)
    if cut is None:
        return None
    folder = run.path / "stages" / stages[cut]["name"]
    file, after = folder / "channels.json", folder / "model.safetensors"
    if not file.exists() or not after.exists():
        return None
    trained = [stage["name"] for stage in stages[:cut] if int((stage.get("results") or {}).get("epochs", 0))]
    before = run.path / "stages" / trained[-1] / "model.safetensors" if trained else None
    return Removed(
        network=str(run.state["network"]),
        classes=str(run.state.get("subset") or ALL) if trained else str(run.state.get("trained_on") or ALL),
        percent=_percent(run),
        seed=int(run.state.get("seed", 0)),
        channels=json.loads(file.read_text(encoding="utf-8")),
        before=before if before is not None and before.exists() else None,
        after=after,
    )
