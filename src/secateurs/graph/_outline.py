"""A graph as plain data: what a picture or a report of it needs, without the model."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from secateurs.graph._axes import Axis
from secateurs.graph._graph import Graph
from secateurs.graph._plan import Plan
from secateurs.graph.model._tensors import modules_of, tensors_of

__all__ = ["OUTLINE_FILE", "outline", "outline_of_cut"]

OUTLINE_FILE = "graph.json"
"""What runs call the file that holds the outline of the network they began with."""

_FORMAT = 1


def outline(graph: Graph, plan: Plan | None = None) -> dict[str, Any]:
    """The graph as JSON: modules in order of execution, axes with their members, what is fixed and why.

    `modules` are those that compute or hold a weight that makes or reads units, each with its multiply-adds for one
    call on the traced arguments and its parameters; with a plan, what is left of both stands beside them, and every
    axis says how many units it keeps. Branches of sums are left out unless the plan cuts them: they stand for units
    of other axes.
    """
    removed = {} if plan is None else plan.removed
    axes = [axis for axis in graph.axes if axis.kind != "branch" or axis.name in removed]
    return {
        "format": _FORMAT,
        "network": type(graph.model).__name__,
        "modules": _modules(graph, axes, plan),
        "axes": [_axis(axis, removed) for axis in axes],
        "fixed": [
            {"path": each.path, "dim": each.dim, "count": each.count, "size": each.size, "why": each.why}
            for each in graph.fixed
        ],
        "couplings": [str(coupling) for coupling in graph.couplings],
        "notes": list(graph.notes),
    }


def outline_of_cut(dense: Mapping[str, Any], small: Mapping[str, Any]) -> dict[str, Any]:
    """The outline of a dense network with what a cut one, given by its own outline, has left of it.

    An axis that the small one has no more is down to a single unit.
    """
    sizes = {axis["name"]: axis["size"] for axis in small["axes"]}
    left = {module["path"]: module for module in small["modules"]}
    modules = [
        {**module, **{key: [module[key][0], left[module["path"]][key][0]] for key in ("macs", "params")}}
        for module in dense["modules"]
        if module["path"] in left
    ]
    return {
        **dense,
        "modules": modules,
        "axes": [{**axis, "kept": sizes.get(axis["name"], 1)} for axis in dense["axes"]],
    }


def _axis(axis: Axis, removed: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    return {
        "name": axis.name,
        "kind": axis.kind,
        "size": axis.size,
        "kept": axis.size - len(removed.get(axis.name, ())),
        "exact": axis.exact,
        "members": [
            {"path": member.path, "dim": member.dim, "role": member.role, "positions": len(member.positions)}
            for member in axis.members
        ],
    }


def _modules(graph: Graph, axes: list[Axis], plan: Plan | None) -> list[dict[str, Any]]:
    dense = graph.operations()
    small = dense if plan is None else graph.operations(plan)
    params = _params(graph, None), _params(graph, plan)
    types = modules_of(graph.model)
    return [
        {
            "path": path,
            "type": type(types[path]).__name__ if path in types else "",
            # Two operations for each multiply-add.
            "macs": [side[path].forward // 2 if path in side else 0 for side in (dense, small)],
            "params": [side.get(path, 0) for side in params],
        }
        for path in _in_order(graph, axes, list(dense))
    ]


def _params(graph: Graph, plan: Plan | None) -> dict[str, int]:
    """Of each module by itself, before or after the cut."""
    lost: dict[str, dict[int, int]] = {}
    for cut in () if plan is None else plan.cuts:
        lost.setdefault(cut.path, {})[cut.dim] = len(cut.removed)
    tensors, found = tensors_of(graph.model), dict[str, int]()
    for path, shape in graph.shapes.items():
        if isinstance(tensors.get(path), nn.Parameter):
            count = 1
            for dim, size in enumerate(shape):
                count *= size - lost.get(path, {}).get(dim, 0)
            owner = path.rpartition(".")[0]
            found[owner] = found.get(owner, 0) + count
    return found


def _in_order(graph: Graph, axes: list[Axis], computing: list[str]) -> list[str]:
    """Modules that compute, in the order in which they do; others stand where the model's definition has them."""
    owners = {
        member.path.rpartition(".")[0] for axis in axes for member in axis.members if member.role != "scales"
    } - set(computing)
    order = list(computing)
    defined = [path for path in modules_of(graph.model) if path in owners or path in set(computing)]
    for place, path in enumerate(defined):
        if path in owners:
            later = next((other for other in defined[place + 1 :] if other in order), None)
            order.insert(len(order) if later is None else order.index(later), path)
    return order
