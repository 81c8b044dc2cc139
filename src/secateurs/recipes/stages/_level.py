"""One level of iterative pruning: score, rank, and remove exactly so many units."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Field
from torch import Tensor

from secateurs import _distributed, criteria
from secateurs.graph import Graph, trace
from secateurs.recipes._figures import figures, kept_axes, removed_fractions
from secateurs.recipes._planned import planned
from secateurs.recipes._section import STRICT, Count, Name, Ratio
from secateurs.recipes._seeds import stage_seed
from secateurs.recipes.stages._base import Masking, StageType, Step
from secateurs.recipes.stages._level_units import LevelUnits
from secateurs.recipes.stages._prune import CriterionSection
from secateurs.recipes.stages._unitmem import UNITMEM, Observed, UnitMemSection, observe
from secateurs.selection import CountChoice, CountOptions, removals, units_by_count
from secateurs.surgery import apply

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["LevelBase", "LevelStage", "Removed", "earlier_levels", "experiment_of"]

Removed = Mapping[str, Sequence[int]]
"""Axis name to units."""


class LevelBase(StageType, BaseModel):
    """What all kinds of levels have in common; `levels` writes them out."""

    model_config = STRICT
    name: Name | None = None
    level: Annotated[int, Field(ge=0)]
    """Its number, from 0."""
    target: float
    """Percent of all units that are to be gone after it, as published."""
    ratio: Ratio
    """Fraction of what is left that goes."""
    criterion: CriterionSection
    """Which units matter."""
    choice: CountChoice
    """Which units go."""
    protect: tuple[str, ...]
    """Patterns of layers or axes that stay whole."""
    kinds: tuple[str, ...] | None
    """Only axes of these kinds lose units."""
    floor: Count
    """Units that every layer keeps at least."""
    unitmem: UnitMemSection | None
    """How UnitMem is measured; None where it is not."""
    activations: bool
    """Keep the activations that UnitMem is made of."""

    @property
    def method(self) -> str:
        """What decides, in a word."""
        return "random" if self.choice == "random" else self.criterion.name

    def describe(self) -> str:
        """The stage in a few words."""
        which = "at random" if self.choice == "random" else f"{self.choice} {self.criterion.name}"
        return f"level {self.level}: {which}, to a sparsity of {self.target:g} %"

    def check(self) -> None:
        """There is such a criterion with such options."""
        criteria.build(self.criterion.name, **self.criterion.options)

    def count(self, session: "Session", step: Step, units: LevelUnits) -> tuple[int, int]:
        """All units as the first level found them, and how many this level removes."""
        earlier = earlier_levels(session, step)
        everything = int(earlier[0]["units"]) if earlier else sum(units.kept.values())
        return everything, removals(everything, self.ratio, self.level + 1)[-1]

    def observed(self, session: "Session", step: Step, graph: Graph, units: LevelUnits) -> Observed:
        """UnitMem of the network as the level finds it, also written to its file."""
        if self.unitmem is None:
            return Observed(values={}, results={"mean_unitmem": None, "by_layer": {}})
        return observe(session, step, graph, units, self.unitmem, level=self.level, activations=self.activations)

    def choose(
        self, session: "Session", step: Step, graph: Graph, units: LevelUnits, seen: Mapping[str, Tensor]
    ) -> Removed:
        """The units that go, the same on every rank; `seen` is the UnitMem of all units, where it was measured."""
        _, count = self.count(session, step, units)
        seed = stage_seed(session.recipe.seed, step.index)
        axes = [own.axis for own in units.owns]
        scores: Mapping[str, Tensor] = {}
        if self.choice != "random":
            scores = seen if self.criterion.name == UNITMEM else self._scores(session, graph, seed)
        options = CountOptions(choice=self.choice, seed=seed, floor=self.floor)
        chosen = _distributed.decided(lambda: units_by_count(axes, scores, count, options, gone=units.gone))
        return {name: tuple(removed) for name, removed in chosen.items() if removed}

    def _scores(self, session: "Session", graph: Graph, seed: int) -> criteria.Scores:
        section, options = self.criterion, dict(self.criterion.options)
        if hasattr(criteria.build(section.name, **options), "seed"):
            # Another seed of the recipe is another draw, unless the recipe says which.
            options.setdefault("seed", seed)
        criterion = criteria.build(section.name, **options)
        images = session.evaluation_batches(session.splits.train, whole=not criterion.reduces)
        batches, loss = session.objective.for_scores(images)
        scores = criterion(graph, batches=batches, loss=loss)
        _distributed.check_close(f"scores of criterion {section.name!r}", scores)
        return scores

    def results(self, session: "Session", step: Step, units: LevelUnits, removed: Removed) -> dict[str, Any]:
        """What every level says in run.json; see `secateurs.recipes._level_format`."""
        everything, count = self.count(session, step, units)
        earlier = earlier_levels(session, step)
        left = units.kept
        for own in units.owns:
            left[own.layer] -= len(removed.get(own.axis.name, ()))
        # A layer that is down to one unit is offered no more, and stays in the lists.
        known = earlier[-1]["kept_units"] if earlier else left
        gone = sum(len(places) for places in removed.values())
        before = sum(entry["removed_count"] for entry in earlier)
        lost = units.originals(removed)
        return {
            "level": self.level,
            "method": self.method,
            "choice": self.choice,
            "target_sparsity": self.target,
            "sparsity": 100 * (before + gone) / everything,
            "units": everything,
            "asked_units": count,
            "removed_count": gone,
            "removed_units": {layer: lost.get(layer, []) for layer in known},
            "layer_sizes": earlier[0]["layer_sizes"] if earlier else units.sizes,
            "kept_units": {layer: left.get(layer, kept) for layer, kept in known.items()},
        }


def earlier_levels(session: "Session", step: Step) -> list[Mapping[str, Any]]:
    """Results of the levels before this one in the same block of levels, from run.json alone."""
    found: list[Mapping[str, Any]] = []
    for earlier in session.steps[: step.index]:
        if isinstance(earlier.stage, LevelBase):
            found = [] if earlier.stage.level == 0 else found
            found.append(session.directory.entry(earlier.name)["results"])
    stage = step.stage
    return [] if isinstance(stage, LevelBase) and stage.level == 0 else found


def experiment_of(session: "Session", step: Step) -> int:
    """The number of the block of levels that a step belongs to, from 0."""
    starts = [
        other
        for other in session.steps[: step.index + 1]
        if isinstance(other.stage, LevelBase) and not other.stage.level
    ]
    return len(starts) - 1


class LevelStage(LevelBase):
    """A level whose units are really cut, and the cut proved."""

    cuts: ClassVar[bool] = True
    masking: ClassVar[Masking] = "refuses"
    type: Literal["level"]
    verify: bool = True
    """Prove that the cut model equals the masked dense one."""

    def run(self, session: "Session", step: Step) -> dict[str, Any]:
        """Score, rank, cut, prove."""
        before, example = figures(session, session.model), (session.example(),)
        graph = trace(session.model, args=example)
        units = LevelUnits.of(session, graph, protect=self.protect, kinds=self.kinds)
        seen = self.observed(session, step, graph, units)
        removed = self.choose(session, step, graph, units, seen.values)
        plan = planned(lambda: graph.plan(removed))
        results = self.results(session, step, units, plan.removed) | seen.results
        result = apply(session.model, plan, verify=self.verify, example=example)
        session.model = result.model
        plan.save(session.directory.folder(step.name) / "plan.json")
        session.save_model(step)
        axes = kept_axes(graph, plan, branches=True)
        return results | {
            "before": before,
            "after": figures(session, session.model),
            "asked": {},
            "removed": removed_fractions(plan, axes),
            "verified": result.report.error,
            "axes": [asdict(axis) for axis in axes],
        }
