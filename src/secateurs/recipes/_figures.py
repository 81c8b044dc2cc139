"""The figures that every stage reports alike."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from secateurs.cost import cost
from secateurs.eigen import Rotation
from secateurs.graph import Graph, Plan, unwrapped
from secateurs.surgery import history

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["Kept", "figures", "kept_axes", "removed_fractions", "removed_params", "validation_figures"]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What an axis keeps of what the stage found."""

    name: str
    kind: str
    size: int
    kept: int


def figures(session: "Session", model: nn.Module) -> dict[str, Any]:
    """What the objective says of test images, accuracy for example, and the cost of one image."""
    batches = session.evaluation_batches(session.splits.test)
    counted = cost(model, args=(session.example(),))
    return {
        **session.objective.judged(model, batches, device=str(session.device)),
        "params": counted.params,
        "macs": counted.macs,
        "bytes": counted.bytes,
        "activation_bytes": counted.activation_bytes,
        "uncounted": dict(counted.uncounted),
    }


def validation_figures(session: "Session", model: nn.Module) -> dict[str, Any]:
    """What the objective says of validation images, under `validation_` names."""
    batches = session.evaluation_batches(session.splits.validation)
    judged = session.objective.judged(model, batches, device=str(session.device))
    return {f"validation_{name.removeprefix('test_')}": value for name, value in judged.items()}


def kept_axes(graph: Graph, plan: Plan, *, branches: bool) -> list[Kept]:
    """All axes; those of branches only if asked for, since they stand for units that other axes count already."""
    return [
        Kept(name=axis.name, kind=axis.kind, size=axis.size, kept=axis.size - len(plan.removed.get(axis.name, ())))
        for axis in graph.axes
        if branches or axis.kind != "branch"
    ]


def removed_fractions(plan: Plan, axes: Sequence[Kept]) -> dict[str, float]:
    """Fractions of the model as the stage found it."""
    pairs = {name: (getattr(plan.before, name), getattr(plan.cost, name)) for name in ("macs", "params", "bytes")}
    pairs["units"] = (sum(axis.size for axis in axes), sum(axis.kept for axis in axes))
    return {name: 1 - after / before if before else 0.0 for name, (before, after) in pairs.items()}


def removed_params(model: nn.Module) -> float:
    """Fraction of the parameters that all cuts have taken, those of earlier runs too; a sliced head counts for none."""
    cuts = [
        entry
        for entry in history(unwrapped(model))
        if isinstance(entry, Rotation) or (isinstance(entry, Plan) and not entry.inputs.get("free_outputs"))
    ]
    return 1 - math.prod(cut.cost.params / cut.before.params for cut in cuts if cut.before.params)
