"""Pruning in levels, as run directories tell it: what each level removed, and what was left of the network."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secateurs.reporting._merit import Merit, merit_of
from secateurs.reporting._record import RunRecord

__all__ = ["Level", "LevelRun", "LevelRuns", "by_method", "layers_of", "level_runs", "levels_at"]


@dataclass(frozen=True, kw_only=True)
class Level:
    """One level of a run.

    Attributes:
        number: from 0.
        folder: of its stage.
        sparsity: percent of the units that are gone after it; of single weights, percent of these.
        removed: units or weights gone by then.
        everything: units or weights that take part.
        before: what people read of test images before it, such as accuracy in %.
        after: the same right after it, without training.
        retrained: the same at the end of the training behind it; None where that has not ended.
        validated: of validation images, at the end of that training; None without validation.
        params: parameters left.
        macs: multiply-adds left.
        unitmem: mean UnitMem of the units that it found; None where it was not measured.
        by_layer: layer to the same.
        lost: layer to the fraction of the original layer that is gone after it.
        target: percent of the units that were to be gone, as published; places levels of weights beside those of units.
        of_weights: whether single weights go.
    """

    number: int
    folder: Path
    sparsity: float
    removed: int
    everything: int
    before: float
    after: float
    retrained: float | None
    validated: float | None
    params: int
    macs: int
    unitmem: float | None
    by_layer: Mapping[str, float]
    lost: Mapping[str, float]
    target: float
    of_weights: bool

    @property
    def place(self) -> float:
        """Where it stands among levels of units: those of weights have as many weights as units at their target."""
        return self.target if self.of_weights else self.sparsity


@dataclass(frozen=True, kw_only=True)
class LevelRun:
    """The levels of a run, from 0 on, without gaps.

    Attributes:
        method: the variant; where a run has levels twice, with the number of the experiment.
        merit: what tells how good its networks are.
        levels: those that have ended.
    """

    method: str
    merit: Merit
    levels: tuple[Level, ...]


LevelRuns = Sequence[LevelRun]


def level_runs(runs: Iterable[tuple[str | None, RunRecord]]) -> list[LevelRun]:
    """All runs, (variant, record) each, with levels that have ended; only those judged like the first of them.

    A run of no variant is called by what chose its units.
    """
    found: list[LevelRun] = []
    for variant, run in runs:
        merit, blocks = merit_of(run), _blocks(run)
        for number, block in enumerate(blocks):
            method = _chosen_by(run.state["stages"][block[0]]["results"]) if variant is None else variant
            method += f", experiment {number}" if len(blocks) > 1 else ""
            found.append(LevelRun(method=method, merit=merit, levels=tuple(_levels(run, merit, block))))
    return [run for run in found if run.merit == found[0].merit]


def by_method(runs: LevelRuns) -> dict[str, list[LevelRun]]:
    """The runs of each method, in the study's order."""
    found: dict[str, list[LevelRun]] = {}
    for run in runs:
        found.setdefault(run.method, []).append(run)
    return found


def levels_at(group: LevelRuns, number: int) -> list[Level]:
    """A level of all the runs that have come to it."""
    return [run.levels[number] for run in group if number < len(run.levels)]


def layers_of(runs: LevelRuns) -> list[str]:
    """All layers that take part, in the order of the network."""
    return list(dict.fromkeys(layer for run in runs for level in run.levels for layer in level.lost))


def _chosen_by(results: Mapping[str, Any]) -> str:
    """Such as `unitmem, low`."""
    return ", ".join(dict.fromkeys((results["method"], results["choice"])))


def _blocks(run: RunRecord) -> list[list[int]]:
    """For every `levels` of the recipe, the places of its levels among the stages."""
    blocks: list[list[int]] = []
    for place, stage in enumerate(run.state.get("stages", [])):
        results = stage.get("results") or {}
        if stage.get("status") == "finished" and "target_sparsity" in results:
            if results["level"] == 0:
                blocks.append([])
            blocks[-1].append(place)
    return blocks


def _levels(run: RunRecord, merit: Merit, block: Sequence[int]) -> Iterable[Level]:
    stages, removed, masked = run.state["stages"], 0, dict[str, int]()
    for number, place in enumerate(block):
        stage = stages[place]
        results: Mapping[str, Any] = stage["results"]
        removed += results["removed_count"]
        for layer, count in results.get("removed_weights", {}).items():
            masked[layer] = masked.get(layer, 0) + count
        end = block[number + 1] if number + 1 < len(block) else len(stages)
        trained = _training([stages[later] for later in range(place + 1, end)], merit)
        validated = merit.of_validation(trained)
        yield Level(
            number=number,
            folder=run.path / "stages" / stage["name"],
            sparsity=results["sparsity"],
            removed=removed,
            everything=results["units"],
            before=merit.of_stage(results["before"]),
            after=merit.of_stage(results["after"]),
            retrained=merit.of_stage(trained) if trained else None,
            validated=validated,
            params=results["after"]["params"],
            macs=results["after"]["macs"],
            unitmem=results.get("mean_unitmem"),
            by_layer=results.get("by_layer") or {},
            lost=_lost(results, masked),
            target=results["target_sparsity"],
            of_weights="removed_weights" in results,
        )


def _training(stages: Sequence[Mapping[str, Any]], merit: Merit) -> Mapping[str, Any]:
    """The results of the first finished training; empty where there is none."""
    ended = (stage.get("results") or {} for stage in stages if stage.get("status") == "finished")
    return next((results for results in ended if f"train_{merit.name}" in results), {})


def _lost(results: Mapping[str, Any], masked: Mapping[str, int]) -> dict[str, float]:
    kept = results["kept_units"]
    if masked:  # weights are not counted by `layer_sizes`
        sizes = {layer: left + masked.get(layer, 0) for layer, left in kept.items()}
    else:
        sizes = {layer: results["layer_sizes"][layer] for layer in kept}
    return {layer: 1 - left / sizes[layer] for layer, left in kept.items() if sizes[layer]}
