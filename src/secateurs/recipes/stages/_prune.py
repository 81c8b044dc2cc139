"""The stage `prune`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from secateurs import criteria
from secateurs._files import save_tensors, write_json
from secateurs.graph import Graph, Plan, trace
from secateurs.recipes._channels import CHANNELS_FILE, removed_channels
from secateurs.recipes._figures import figures, kept_axes, removed_fractions
from secateurs.recipes._handover import hand_on, held_optimizer
from secateurs.recipes._planned import planned
from secateurs.recipes._section import Count, Name, Ratio
from secateurs.recipes.stages._asked import Asked, LatencySection, PartSection
from secateurs.recipes.stages._base import Masking, StageType, Step
from secateurs.recipes.stages._cut_options import (
    Budgeted,
    Choice,
    CriterionSection,
    CutOptions,
    Scope,
    chosen_scores,
    rules_of,
    scores_of,
    selected,
)
from secateurs.recipes.stages._repair_section import RepairSection, repaired
from secateurs.recipes.stages._stop import StopSection, reason_to_stop
from secateurs.selection import Schedule, each_axis, select_measured
from secateurs.surgery import apply, latency_removed

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["SCORES_FILE", "Choice", "CriterionSection", "PruneStage"]

SCORES_FILE = "scores.safetensors"
"""The scores by which the stage has cut: axis to one number per unit."""


class PruneStage(CutOptions, StageType):
    """Cut the model. Each ratio in `remove` is the fraction taken from the model as this stage finds it."""

    cuts: ClassVar[bool] = True
    masking: ClassVar[Masking] = "refuses"
    type: Literal["prune"]
    name: Name | None = None
    remove: dict[Budgeted, Ratio] | None = None
    """Fraction to remove of each; may be left out only where `scope` gives ratios by axis. `latency` is measured."""
    latency: LatencySection = Field(default_factory=LatencySection)
    """How the `latency` in `remove` is measured and approached."""
    part: PartSection | None = None
    """This cut is one of several over which `remove` is spread; `repeat` with a `schedule` writes them out."""
    scope: Literal["global", "layerwise"] | dict[str, Ratio] = "global"
    """Compare units over the whole model, within each axis, or remove these fractions of these axes."""
    each_axis: Ratio | None = None
    """Instead of both, the fraction of its units that every axis loses, rounded up, but never the last unit; where
    nothing is left to take, nothing is cut."""
    widths: dict[str, Count] = Field(default_factory=dict)
    """With `each_axis`: axis names or patterns, and the units that such an axis keeps at least."""
    stop: StopSection | None = None
    """When cuts have gone far enough: this one is then left out."""
    keep_optimizer: bool = False
    """Cut the last train stage's optimizer along and let the next train stage go on with its momentum."""
    repair: bool | RepairSection = False
    """Let what is left take over from what is gone, by least squares on training images; true is with the defaults."""

    @model_validator(mode="after")
    def _says_how_much(self) -> Self:
        ratios = isinstance(self.scope, dict)
        if not self.remove and not ratios and self.each_axis is None:
            raise ValueError("`remove` (such as {macs: 0.5}), `each_axis`, or `scope` with a ratio for each axis")
        if self.each_axis is not None and (self.remove or ratios or self.floor != 1 or self.multiple_of != 1):
            raise ValueError("`each_axis` without `remove`, `scope`, `floor` and `multiple_of`")
        if self.group_floors is not None and len(self.remove or {}) != 1:
            raise ValueError("one ratio in `remove`, on which `group_floors` depend")
        if self.widths and self.each_axis is None:
            raise ValueError("`widths` only with `each_axis`")
        if "latency" in (self.remove or {}) and (ratios or self.group_floors):
            raise ValueError(
                "`latency` in `remove` only with the scope `global` or `layerwise`, without `group_floors`"
            )
        if self.part is not None and (not self.remove or ratios or "latency" in self.remove or self.group_floors):
            raise ValueError("counted ratios in `remove` and no others, as they are spread over several cuts")
        return self

    def in_parts(self, schedule: Schedule, cuts: int, cut: int = 1) -> Self:
        """One of several cuts that together remove what this one says."""
        part = PartSection(schedule=schedule, cut=cut, of=cuts)
        return type(self)(**{name: getattr(self, name) for name in self.model_fields_set} | {"part": part})

    def describe(self) -> str:
        """The stage in a few words."""
        each = {} if self.each_axis is None else {"every axis": self.each_axis}
        asked = self.remove or (self.scope if isinstance(self.scope, dict) else each)
        ratios = ", ".join(f"{100 * ratio:g} % of {name}" for name, ratio in asked.items())
        highest = ", the highest scores" if self.choice == "top" else ""
        part = "" if self.part is None else f", cut {self.part.cut} of {self.part.of}"
        return f"remove {ratios} by {self.criterion_section.name}{highest}{part}"

    @property
    def budget(self) -> dict[str, float] | None:
        """`remove`, its keys as plain text."""
        return None if self.remove is None else {str(name): ratio for name, ratio in self.remove.items()}

    @property
    def hands_on(self) -> bool:
        """A kept optimizer goes into the cut and out of it again."""
        return self.keep_optimizer

    def run(self, session: "Session", step: Step) -> dict[str, Any]:
        """Score, select, cut, prove; the results for run.json."""
        before, example = figures(session, session.model), (session.example(),)
        graph = trace(session.model, args=example)
        stopped = None if self.stop is None else reason_to_stop(session, step, self.stop, before)
        asked = Asked.of(session, step, self, graph)
        plan = _plan(session, step, self, graph, asked) if stopped is None else graph.plan({})
        optimizer = held_optimizer(session, step) if self.keep_optimizer else None
        result = apply(session.model, plan, optimizer=optimizer, verify=self.verify, example=example)
        section = RepairSection() if self.repair is True else self.repair
        repair = {"repaired": repaired(session, result, section)} if section and plan.cuts else {}
        session.model = result.model
        plan.save(session.directory.folder(step.name) / "plan.json")
        write_json(session.directory.folder(step.name) / CHANNELS_FILE, removed_channels(graph, plan))
        session.save_model(step)
        if optimizer is not None:
            hand_on(session, step, optimizer)
        axes = kept_axes(graph, plan, branches="branch" in (self.kinds or ()))
        return {
            "before": before,
            "after": figures(session, session.model),
            "asked": asked.told,
            "removed": {**removed_fractions(plan, axes), **asked.measured},
            "verified": result.report.error,
            "axes": [asdict(axis) for axis in axes],
            **asked.results,
            **({} if stopped is None else {"stopped": stopped}),
            **repair,
        }


def _plan(session: "Session", step: Step, stage: PruneStage, graph: Graph, asked: Asked) -> Plan:
    scope = _scope(stage, graph)
    if not scope or asked.done:
        return graph.plan({})
    scores = scores_of(session, step, stage, graph)
    save_tensors(session.directory.folder(step.name) / SCORES_FILE, dict(scores))
    if stage.remove and "latency" in stage.remove:
        return planned(lambda: _by_latency(session, stage, graph, scores, asked))
    return planned(lambda: selected(graph, scores, stage, asked.remove, scope))


def _by_latency(session: "Session", stage: PruneStage, graph: Graph, scores: criteria.Scores, asked: Asked) -> Plan:
    counted = {key: float(ratio) for key, ratio in (asked.remove or {}).items()}
    options = stage.latency.options
    choice = select_measured(
        graph,
        chosen_scores(scores, stage),
        asked.told["latency"],
        latency_removed(session.model, (session.example(),), options=options),
        remove=counted,
        probing=options.probing,
        scope=stage.scope,
        **rules_of(graph, stage, counted),
    )
    asked.took(choice)
    return choice.plan


def _scope(stage: PruneStage, graph: Graph) -> Scope:
    """Empty where nothing is left to take."""
    if stage.each_axis is None:
        return stage.scope
    return each_axis(graph, stage.each_axis, widths=stage.widths, protect=stage.protect, kinds=stage.kinds)
