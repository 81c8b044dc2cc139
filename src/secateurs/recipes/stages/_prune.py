"""The stage `prune`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import BaseModel, Field, model_validator

from secateurs import _distributed, criteria
from secateurs.graph import Graph, Plan, trace
from secateurs.recipes._figures import figures, kept_axes, removed_fractions
from secateurs.recipes._handover import hand_on, held_optimizer
from secateurs.recipes._planned import planned
from secateurs.recipes._section import STRICT, Count, Name, Ratio
from secateurs.recipes._seeds import stage_seed
from secateurs.recipes.stages._base import Masking, StageType, Step
from secateurs.recipes.stages._stop import StopSection, reason_to_stop
from secateurs.selection import each_axis, select
from secateurs.surgery import apply

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["Choice", "CriterionSection", "PruneStage"]

Choice = Literal["bottom", "top", "random"]


class CriterionSection(BaseModel):
    """A criterion with options, such as `{name: magnitude, options: {p: 1}}`."""

    model_config = STRICT
    name: str
    """One of `secateurs.criteria.names()`."""
    options: dict[str, Any] = Field(default_factory=dict)


class PruneStage(StageType, BaseModel):
    """Cut the model. Each ratio in `remove` is the fraction taken from the model as this stage finds it."""

    model_config = STRICT
    cuts: ClassVar[bool] = True
    masking: ClassVar[Masking] = "refuses"
    type: Literal["prune"]
    name: Name | None = None
    criterion: str | CriterionSection = "magnitude"
    """Which units matter: a name, or a name with options."""
    remove: dict[Literal["macs", "params", "bytes", "units"], Ratio] | None = None
    """Fraction to remove of each; may be left out only where `scope` gives ratios by axis."""
    scope: Literal["global", "layerwise"] | dict[str, Ratio] = "global"
    """Compare units over the whole model, within each axis, or remove these fractions of these axes."""
    each_axis: Ratio | None = None
    """Instead of both, the fraction of its units that every axis loses, rounded up, but never the last unit; where
    nothing is left to take, nothing is cut."""
    widths: dict[str, Count] = Field(default_factory=dict)
    """With `each_axis`: axis names or patterns, and the units that such an axis keeps at least."""
    choice: Choice = "bottom"
    """Which units go: those with the lowest scores, those with the highest, to see what scores are worth, or any, by
    lot and without scores."""
    stop: StopSection | None = None
    """When cuts have gone far enough: this one is then left out."""
    protect: tuple[str, ...] = ()
    """Patterns of axes that stay whole, such as `fc*`."""
    floor: Count | Ratio = 1
    """Units that every axis keeps at least, or the fraction of them."""
    multiple_of: Count = 1
    """Kept sizes are multiples of this."""
    kinds: tuple[str, ...] | None = None
    """Only axes of these kinds are cut."""
    verify: bool = True
    """Prove that the cut model equals the masked dense one."""
    keep_optimizer: bool = False
    """Cut the last train stage's optimizer along and let the next train stage go on with its momentum."""

    @model_validator(mode="after")
    def _says_how_much(self) -> Self:
        ratios = isinstance(self.scope, dict)
        if not self.remove and not ratios and self.each_axis is None:
            raise ValueError("`remove` (such as {macs: 0.5}), `each_axis`, or `scope` with a ratio for each axis")
        if self.each_axis is not None and (self.remove or ratios or self.floor != 1 or self.multiple_of != 1):
            raise ValueError("`each_axis` without `remove`, `scope`, `floor` and `multiple_of`")
        if self.widths and self.each_axis is None:
            raise ValueError("`widths` only with `each_axis`")
        return self

    def describe(self) -> str:
        """The stage in a few words."""
        each = {} if self.each_axis is None else {"every axis": self.each_axis}
        asked = self.remove or (self.scope if isinstance(self.scope, dict) else each)
        ratios = ", ".join(f"{100 * ratio:g} % of {name}" for name, ratio in asked.items())
        highest = ", the highest scores" if self.choice == "top" else ""
        return f"remove {ratios} by {self.criterion_section.name}{highest}"

    @property
    def budget(self) -> dict[str, float] | None:
        """`remove`, its keys as plain text."""
        return None if self.remove is None else {str(name): ratio for name, ratio in self.remove.items()}

    @property
    def criterion_section(self) -> CriterionSection:
        """The criterion that gives the scores, in its long form."""
        if self.choice == "random":
            return CriterionSection(name="random")
        return CriterionSection(name=self.criterion) if isinstance(self.criterion, str) else self.criterion

    @property
    def hands_on(self) -> bool:
        """A kept optimizer goes into the cut and out of it again."""
        return self.keep_optimizer

    def check(self) -> None:
        """There is such a criterion with such options."""
        criteria.build(self.criterion_section.name, **self.criterion_section.options)

    def run(self, session: "Session", step: Step) -> dict[str, Any]:
        """Score, select, cut, prove; the results for run.json."""
        before, example = figures(session, session.model), (session.example(),)
        graph = trace(session.model, args=example)
        stopped = None if self.stop is None else reason_to_stop(session, step, self.stop, before)
        plan = _plan(session, step, self, graph) if stopped is None else graph.plan({})
        optimizer = held_optimizer(session, step) if self.keep_optimizer else None
        result = apply(session.model, plan, optimizer=optimizer, verify=self.verify, example=example)
        session.model = result.model
        plan.save(session.directory.folder(step.name) / "plan.json")
        session.save_model(step)
        if optimizer is not None:
            hand_on(session, step, optimizer)
        axes = kept_axes(graph, plan, branches="branch" in (self.kinds or ()))
        return {
            "before": before,
            "after": figures(session, session.model),
            "asked": self.budget or {},
            "removed": removed_fractions(plan, axes),
            "verified": result.report.error,
            "axes": [asdict(axis) for axis in axes],
            **({} if stopped is None else {"stopped": stopped}),
        }


def _plan(session: "Session", step: Step, stage: PruneStage, graph: Graph) -> Plan:
    scope = _scope(stage, graph)
    if not scope:
        return graph.plan({})
    section = stage.criterion_section
    options = dict(section.options)
    if hasattr(criteria.build(section.name, **options), "seed"):
        # Another seed of the recipe is another draw, unless the recipe says which.
        options.setdefault("seed", stage_seed(session.recipe.seed, step.index))
    criterion = criteria.build(section.name, **options)
    images = session.evaluation_batches(session.splits.train, whole=not criterion.reduces)
    batches, loss = session.objective.for_scores(images)
    scores = criterion(graph, batches=batches, loss=loss)
    _distributed.check_close(f"scores of criterion {section.name!r}", scores)
    return planned(lambda: _selected(graph, scores, stage, scope))


def _scope(stage: PruneStage, graph: Graph) -> Literal["global", "layerwise"] | dict[str, float]:
    """Empty where nothing is left to take."""
    if stage.each_axis is None:
        return stage.scope
    return each_axis(graph, stage.each_axis, widths=stage.widths, protect=stage.protect, kinds=stage.kinds)


def _selected(
    graph: Graph, scores: criteria.Scores, stage: PruneStage, scope: Literal["global", "layerwise"] | dict[str, float]
) -> Plan:
    return select(
        graph,
        {name: -values for name, values in scores.items()} if stage.choice == "top" else scores,
        remove=stage.budget,
        scope=scope,
        protect=stage.protect,
        floor=stage.floor,
        multiple_of=stage.multiple_of,
        kinds=stage.kinds,
    )
