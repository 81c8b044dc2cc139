"""The model as a torch.export program: one graph of operators, without Python code."""

from typing import Literal

import torch
from torch import nn
from torch.export import Dim, ExportedProgram, ShapesCollection

from secateurs._errors import GraphError
from secateurs.export._example import Call

__all__ = ["traced_program"]

_LONGEST = 400


def traced_program(model: nn.Module, call: Call, batch: int | Literal["dynamic"]) -> ExportedProgram:
    """The program of one call, for any number of samples or for the example's.

    Raises:
        GraphError: torch cannot follow the code, or the code depends on the number of samples.
    """
    shapes = None
    if batch == "dynamic":
        collection, dim = ShapesCollection(), Dim("batch", min=1)
        for tensor in call.tensors:
            if tensor.dim() > 0 and len(tensor) == call.batch:
                collection[tensor] = {0: dim}
        shapes = collection.dynamic_shapes(model, call.args, dict(call.kwargs))
    try:
        program = torch.export.export(model, call.args, dict(call.kwargs), dynamic_shapes=shapes)
    except Exception as error:  # it runs the user's code, and has many errors of its own
        cure = "Where the code cannot do without Python (branches on values, other libraries), take that out."
        if batch == "dynamic":
            cure = f"Where the code needs a certain number of samples, export that: batch=1 (--batch 1). {cure}"
        name = type(model).__name__
        got = f"{type(error).__name__}: {_first_lines(error)}"
        raise GraphError(name, wanted="a call that torch.export can follow", got=got, cure=cure) from error
    _forget_places(program)
    return program


def _forget_places(program: ExportedProgram) -> None:
    """Files that are handed on hold nothing of the machine that they were made on: no folders, no data."""
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)
    program.example_inputs = None  # they may be somebody's data, and would be pickled


def _first_lines(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:_LONGEST]
