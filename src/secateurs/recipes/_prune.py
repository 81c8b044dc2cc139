"""The stage `prune`."""

from typing import Any

import torch.nn.functional as F

import secateurs
from secateurs import criteria
from secateurs.graph import Plan
from secateurs.recipes._handover import hand_on, held_optimizer
from secateurs.recipes._measure import figures
from secateurs.recipes._session import Session
from secateurs.recipes._stages import PruneStage, Step

__all__ = ["run_prune"]


def run_prune(session: Session, step: Step, stage: PruneStage) -> dict[str, Any]:
    """Score, select, cut, prove; the results for run.json."""
    before = figures(session, session.model)
    plan = _plan(session, stage)
    optimizer = held_optimizer(session, step) if stage.keep_optimizer else None
    example = (session.example(),)
    result = secateurs.apply(session.model, plan, optimizer=optimizer, verify=stage.verify, example=example)
    session.adopt(result.model, plan)
    session.save_model(step)
    if optimizer is not None:
        hand_on(session, step, optimizer)
    assert session.plan is not None
    return {
        "before": before,
        "after": figures(session, session.model),
        "asked": dict(stage.remove or {}),
        "removed": _removed(plan),
        "verified": result.report.error if result.report.verified else None,
        "axes": _axes(session.plan),
    }


def _plan(session: Session, stage: PruneStage) -> Plan:
    section = stage.criterion_section
    graph = secateurs.trace(session.model, args=(session.example(),))
    criterion = criteria.build(section.name, **section.options)
    batches = session.evaluation_batches(session.splits.train)
    scores = criterion(graph, batches=batches, loss=F.cross_entropy)
    return secateurs.select(
        graph,
        scores,
        remove=stage.remove,
        scope=stage.scope,
        protect=list(stage.protect),
        floor=stage.floor,
        multiple_of=stage.multiple_of,
        kinds=stage.kinds,
    )


def _removed(plan: Plan) -> dict[str, float]:
    """Fractions of the model as the stage found it."""
    ratios = {name: 1 - getattr(plan.cost, name) / getattr(plan.before, name) for name in ("macs", "params", "bytes")}
    units = sum(len(gone) for gone in plan.removed.values()) / sum(plan.sizes.values())
    return {**ratios, "units": units}


def _axes(plan: Plan) -> list[dict[str, Any]]:
    """What every axis of the dense model keeps."""
    return [
        {"name": name, "size": size, "kept": size - len(plan.removed.get(name, ()))}
        for name, size in plan.sizes.items()
    ]
