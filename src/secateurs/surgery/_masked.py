"""The dense model, as if cut: the oracle that surgery is held against."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from secateurs._errors import PlanError
from secateurs.graph import (
    Graph,
    Plan,
    arguments_of,
    map_tensors,
    masked_run,
    readable,
    rebuild_inputs,
    tensors_in,
    trace,
)
from secateurs.surgery._cut import check_fits
from secateurs.surgery._runs import Example

__all__ = ["example_of", "graph_of", "masked"]


@contextmanager
def masked(model: nn.Module, plan: Plan, *, example: Any = None) -> Iterator[nn.Module]:
    """Inside, calling the dense model that this yields gives what the cut model would give.

    Removed positions read as zeros where a contraction sums over them, and normalisations take the kept positions
    only. Evaluation mode, without gradients, any batch size; afterwards the model is as before.

    Args:
        model: the model that the plan was made for, not cut yet; of a wrapper, the module inside is yielded.
        plan: from `select`, `graph.plan` or a file.
        example: for a plan from a file, arguments to trace the model on instead of random ones of the planned shapes.

    Raises:
        PlanError: the plan belongs to another model.
    """
    model = readable(model, where="masked", warn=False)
    check_fits(model, plan)
    given = None if example is None else arguments_of(model, example, where="example")
    with masked_run(model, graph_of(model, plan, given), plan.removed):
        yield model


def graph_of(model: nn.Module, plan: Plan, example: Example | None = None) -> Graph:
    """The graph that the plan was made from, or for a plan from a file the same trace again."""
    if isinstance(plan.graph, Graph):
        return plan.graph
    args, kwargs = example_of(model, plan, example)
    graph = trace(model, args, kwargs, free_outputs=bool(plan.inputs.get("free_outputs")))
    for name, size in plan.sizes.items():
        if graph[name].size != size:
            got, cure = f"{graph[name].size} units", "Apply a plan to the model it was made for."
            raise PlanError(f"axis {name!r}", wanted=f"{size} units", got=got, cure=cure)
    return graph


def example_of(model: nn.Module, plan: Plan, example: Example | None = None) -> Example:
    """Example arguments of a plan on the model's device: the given or traced ones, or made as the plan says.

    Those of a trace on the meta device have no values, so that they are made, too.
    """
    if example is None and isinstance(plan.graph, Graph):
        example = plan.graph.args, plan.graph.kwargs
    if example is None or any(tensor.is_meta for tensor in tensors_in(example)):
        example = rebuild_inputs(plan.inputs)
    device = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), None)
    if device is None or device.type == "meta":
        return example
    moved: Example = map_tensors(lambda tensor: tensor.to(device), example)
    return moved
