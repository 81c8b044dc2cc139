"""A head that tells fewer classes apart: the rows of whatever layer makes the outputs, cut through the graph."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from secateurs._errors import PlanError, VerifyError
from secateurs.graph import Graph, Plan, readable, trace
from secateurs.surgery._apply import Result, apply
from secateurs.surgery._changes import plans_of
from secateurs.surgery._cut import copy_model, cut_model
from secateurs.surgery._difference import relative_error
from secateurs.surgery._masked import example_of
from secateurs.surgery._runs import Runs

__all__ = ["kept_outputs", "plan_outputs", "slice_outputs", "sliced_outputs"]

BoolArray = npt.NDArray[np.bool_]

_DIM = 1
_EXACT, _COARSE = 1e-9, 1e-3
"""Relative differences: in float64, and where code insists on the model's own precision."""


def slice_outputs(
    model: nn.Module,
    keep: Iterable[int],
    args: tuple[Any, ...] | Mapping[str, Any] | Tensor = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    verify: bool = True,
) -> Result:
    """A copy of a classifier that gives the scores of some classes only, in ascending order of their numbers.

    Nothing but the rows that make the other scores goes. `save` and `load` carry the cut along like any other.

    Args:
        model: any module that returns one tensor of scores [B, classes].
        keep: the classes that stay.
        args, kwargs: an example call, given in any of the ways of `trace`.
        verify: prove on the example that the scores are those that the model itself gives to these classes.

    Raises:
        PlanError: no such outputs, or classes that cannot go without others.
        VerifyError: the scores of the classes that stay depend on those that go.

    >>> slice_outputs(net, [3, 5], args=(x,)).model(x).shape  # of ten classes
    torch.Size([8, 2])
    """
    model = readable(model, where="slice_outputs", warn=False)
    graph = trace(model, args, kwargs, free_outputs=True)
    chosen = sorted(set(keep))
    plan = plan_outputs(graph, chosen)
    result = apply(model, plan, verify=verify)
    if verify:
        _check_scores(model, result.model, plan, chosen)
    return result


def plan_outputs(graph: Graph, keep: Sequence[int]) -> Plan:
    """The plan after which the outputs are the columns `keep` of what they were.

    Args:
        graph: traced with `free_outputs=True`.
        keep: ascending.

    Raises:
        PlanError: no such outputs, or columns that cannot go without others.
    """
    width = _width(graph)
    if not keep or keep[0] < 0 or keep[-1] >= width:
        cure = "Give the numbers of the classes that stay."
        raise PlanError("outputs", wanted=f"some of 0 to {width - 1}", got=str(list(keep[:20])), cure=cure)
    gone = np.ones(width, dtype=bool)
    gone[list(keep)] = False
    removed = _units(graph, gone)
    if not np.array_equal(_removed(graph, removed), gone):
        raise _inseparable(graph, gone)
    return graph.plan(removed)


def kept_outputs(dense: nn.Module, model: nn.Module, args: tuple[Any, ...]) -> tuple[int, ...]:
    """Which outputs of the dense model the outputs of a model are that was cut from it.

    Args:
        dense: as the plans of `model` found it; its weights do not matter.
        model: with its plans, as `apply` and `load` leave it.
        args: an example call.
    """
    plans = plans_of(model)
    last = max((number for number, plan in enumerate(plans) if _frees(plan)), default=-1)
    work = copy_model(dense)
    kept: npt.NDArray[np.int64] | None = None
    for plan in plans[: last + 1]:
        if _frees(plan):
            graph = trace(work, args, free_outputs=True)
            kept = np.arange(_width(graph)) if kept is None else kept
            kept = kept[~_removed(graph, plan.removed)]
        cut_model(work, plan)
    if kept is None:
        kept = np.arange(_width(trace(work, args, free_outputs=True)))
    return tuple(kept.tolist())


def sliced_outputs(model: nn.Module) -> bool:
    """Whether the plans that led to a model may have cut its outputs."""
    return any(_frees(plan) for plan in plans_of(model))


def _frees(plan: Plan) -> bool:
    return bool(plan.inputs.get("free_outputs"))


def _width(graph: Graph) -> int:
    """The number of classes that the outputs are about."""
    shapes = [tuple(labels) for labels in graph.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 2:
        got = f"{len(shapes)} tensors of {' and '.join(str(len(labels)) for labels in shapes) or 'no'} dims"
        cure = "Wrap the model so that it returns one row of scores per image."
        raise PlanError("outputs", wanted="one tensor [B, classes]", got=got, cure=cure)
    label = shapes[0][_DIM]
    if label is None:
        reasons = sorted({entry.why for entry in graph.fixed if entry.dim == 0 and entry.path in graph.shapes})
        got = "scores whose number is fixed" + (f": {'; '.join(reasons[:3])}" if reasons else "")
        cure = "Keep all classes, or let the model return the scores themselves; cross-entropy takes those."
        raise PlanError("outputs", wanted="classes that can go one by one", got=got, cure=cure)
    return len(label)


def _units(graph: Graph, gone: BoolArray) -> dict[str, list[int]]:
    """Every unit that shows up in columns that go, and in no others."""
    label = graph.outputs[0][_DIM]
    assert label is not None
    rows = graph.algebra.free(label)
    found: dict[str, list[int]] = {}
    for axis in graph.axes:
        if axis.kind == "branch":
            continue
        outside = np.isin(axis.atoms, rows[gone]) & ~np.isin(axis.atoms, rows[~gone])
        if outside.any():
            found[axis.name] = np.flatnonzero(outside).tolist()
    return found


def _removed(graph: Graph, removed: Mapping[str, Sequence[int]]) -> BoolArray:
    """The columns of the outputs that a removal takes."""
    label = graph.outputs[0][_DIM]
    assert label is not None
    # Not by `roots_of`: that an axis may not lose all its units is for the plan to say.
    atoms = {name: graph[name].atoms[list(units)] for name, units in removed.items()}
    return graph.algebra.removed_rows(label, graph.removed_roots(atoms))


def _inseparable(graph: Graph, gone: BoolArray) -> PlanError:
    label = graph.outputs[0][_DIM]
    assert label is not None
    left = np.flatnonzero(gone & ~_removed(graph, _units(graph, gone)))
    roots = np.unique(graph.algebra.factors(label[left]))
    reasons = [graph.algebra.reason(int(root)) for root in roots[graph.algebra.is_fixed(roots) & (roots > 0)]]
    why = f": {'; '.join(sorted(set(reasons))[:3])}" if reasons else "; units belong to several classes"
    return PlanError(
        "outputs",
        wanted="classes that can go one by one",
        got=f"{len(left)} that cannot, class {left[0]} for example{why}",
        cure="Keep all classes.",
    )


def _check_scores(dense: nn.Module, cut: nn.Module, plan: Plan, keep: Sequence[int]) -> None:
    """Beside the proof of the cut: nothing that stays depends on what goes, so the dense model's columns come out."""
    runs = Runs(dense=dense, cut=cut, plan=plan, graph=plan.graph, example=example_of(dense, plan))
    limit = _EXACT
    try:
        runs = runs.widened()
        before = runs.of_dense()
    except VerifyError:  # code that insists on a type
        runs = Runs(dense=dense, cut=cut, plan=plan, graph=plan.graph, example=example_of(dense, plan))
        before, limit = runs.of_dense(), _COARSE
    columns = [scores[:, list(keep)] for scores in before.promised]
    error = relative_error(columns, list(runs.of_cut().promised))
    if not error <= limit:
        raise VerifyError(
            "outputs",
            wanted=f"the model's own scores of these classes within {limit:g}",
            got=f"a relative difference of {error:.1e}",
            cure="The scores of some classes depend on those of others; keep all classes.",
        )
