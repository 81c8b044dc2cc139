"""The dense model, as if cut: the oracle that surgery is held against."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from secateurs._errors import PlanError
from secateurs.graph import Graph, Plan, masked_run, rebuild_inputs, trace
from secateurs.surgery._cut import check_fits

__all__ = ["example_of", "graph_of", "masked"]


@contextmanager
def masked(model: nn.Module, plan: Plan) -> Iterator[nn.Module]:
    """Inside, calling the dense `model` gives what the cut model would give.

    Removed positions read as zeros where a contraction sums over them, and normalisations take the kept positions
    only. Evaluation mode, without gradients, any batch size; afterwards the model is as before.

    Args:
        model: the model that the plan was made for, not cut yet.
        plan: from `select`, `graph.plan` or a file.

    Raises:
        PlanError: the plan belongs to another model.
    """
    check_fits(model, plan)
    with masked_run(model, graph_of(model, plan), plan.removed):
        yield model


def graph_of(model: nn.Module, plan: Plan) -> Graph:
    """The graph that the plan was made from, or for a plan from a file the same trace again."""
    if isinstance(plan.graph, Graph):
        return plan.graph
    args, kwargs = example_of(model, plan)
    graph = trace(model, args, kwargs)
    for name, size in plan.sizes.items():
        if graph[name].size != size:
            got, cure = f"{graph[name].size} units", "Apply a plan to the model it was made for."
            raise PlanError(f"axis {name!r}", wanted=f"{size} units", got=got, cure=cure)
    return graph


def example_of(model: nn.Module, plan: Plan) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Example arguments of a plan on the model's device: the traced ones, or made of the shapes it recorded."""
    if isinstance(plan.graph, Graph):
        args, kwargs = plan.graph.args, plan.graph.kwargs
    else:
        args, kwargs = rebuild_inputs(plan.inputs)
    device = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), None)
    if device is None or device.type == "meta":
        return args, kwargs
    moved: tuple[tuple[Any, ...], dict[str, Any]] = tree_map_only(Tensor, lambda t: t.to(device), (args, kwargs))
    return moved
