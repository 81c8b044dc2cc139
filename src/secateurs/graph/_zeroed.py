"""Branches in a masked run: zeros where one producer of a sum lost units alone."""

from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes

from secateurs.graph._graph import Graph
from secateurs.graph._labels import Label
from secateurs.graph._masks import mask_of
from secateurs.graph._mode import LabelMode
from secateurs.graph._scatters import alone

__all__ = ["zero_branches"]

BoolArray = npt.NDArray[np.bool_]


def zero_branches(stack: ExitStack, model: nn.Module, graph: Graph, roots: BoolArray, mode: LabelMode) -> None:
    """Until the stack is left, modules in front of a scatter give zeros for what they lost, in the stream's width."""
    for branch in graph.branches:
        gone, own = alone(graph.algebra, branch, roots)
        if own.any():
            hook = partial(_zero, mode, branch.dim, np.flatnonzero(gone), mask_of(gone & ~own))
            handle = model.get_submodule(branch.path).register_forward_hook(hook, prepend=True)
            stack.callback(handle.remove)


def _zero(
    mode: LabelMode, dim: int, gone: npt.NDArray[np.int64], mask: Label, _module: nn.Module, _args: Any, output: Tensor
) -> Tensor:
    info = mode.info(output)
    labels = list(info.labels)
    labels[dim] = mask
    with _disable_current_modes():
        result = output.index_fill(dim, torch.from_numpy(gone).to(output.device), 0)
    result._secateurs_info = info._replace(labels=tuple(labels))  # type: ignore[attr-defined]
    return result
