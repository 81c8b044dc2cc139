"""The stage `prune`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch.nn.functional as F

from secateurs import criteria
from secateurs.graph import Axis, Graph, Plan, trace
from secateurs.recipes._handover import hand_on, held_optimizer
from secateurs.recipes._measure import figures
from secateurs.recipes._session import Session, stage_seed
from secateurs.recipes._stages import PruneStage, Step
from secateurs.selection import select
from secateurs.surgery import apply

__all__ = ["run_prune"]


def run_prune(session: Session, step: Step, stage: PruneStage) -> dict[str, Any]:
    """Score, select, cut, prove; the results for run.json."""
    before, example = figures(session, session.model), (session.example(),)
    graph = trace(session.model, args=example)
    plan = _plan(session, step, stage, graph)
    optimizer = held_optimizer(session, step) if stage.keep_optimizer else None
    result = apply(session.model, plan, optimizer=optimizer, verify=stage.verify, example=example)
    session.model = result.model
    plan.save(session.directory.folder(step.name) / "plan.json")
    session.save_model(step)
    if optimizer is not None:
        hand_on(session, step, optimizer)
    # Branch axes stand for units that other axes count already.
    counted = [axis for axis in graph.axes if axis.kind != "branch" or "branch" in (stage.kinds or ())]
    axes = [_Kept.of(axis, plan) for axis in counted]
    return {
        "before": before,
        "after": figures(session, session.model),
        "asked": stage.budget or {},
        "removed": _removed(plan, axes),
        "verified": result.report.error,
        "axes": [asdict(axis) for axis in axes],
    }


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """What an axis keeps of what the stage found."""

    name: str
    kind: str
    size: int
    kept: int

    @classmethod
    def of(cls, axis: Axis, plan: Plan) -> Self:
        gone = len(plan.removed.get(axis.name, ()))
        return cls(name=axis.name, kind=axis.kind, size=axis.size, kept=axis.size - gone)


def _plan(session: Session, step: Step, stage: PruneStage, graph: Graph) -> Plan:
    section = stage.criterion_section
    options = dict(section.options)
    if hasattr(criteria.build(section.name, **options), "seed"):
        # Another seed of the recipe is another draw, unless the recipe says which.
        options.setdefault("seed", stage_seed(session.recipe.seed, step.index))
    criterion = criteria.build(section.name, **options)
    batches = session.evaluation_batches(session.splits.train)
    return select(
        graph,
        criterion(graph, batches=batches, loss=F.cross_entropy),
        remove=stage.budget,
        scope=stage.scope,
        protect=stage.protect,
        floor=stage.floor,
        multiple_of=stage.multiple_of,
        kinds=stage.kinds,
    )


def _removed(plan: Plan, axes: Sequence[_Kept]) -> dict[str, float]:
    """Fractions of the model as the stage found it."""
    pairs = {name: (getattr(plan.before, name), getattr(plan.cost, name)) for name in ("macs", "params", "bytes")}
    pairs["units"] = (sum(axis.size for axis in axes), sum(axis.kept for axis in axes))
    return {name: 1 - after / before if before else 0.0 for name, (before, after) in pairs.items()}
