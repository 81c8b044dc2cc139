"""Scatters: a module whose output lost units that its stream keeps puts zeros in their places.

The module tree and all parameter paths stay as they are: a forward hook does it, from an index in a buffer that is
not part of the state dict (it comes back with the plan). The hook is a plain function and all that it needs is in
the module, so that copies, other devices, `torch.compile` and `torch.export` find it.
"""

from typing import Any

import torch
from torch import Tensor, nn

from secateurs.graph import Scatter

__all__ = ["INDEX", "insert_scatter", "scatters_already"]

INDEX, WIDTH, DIM = "secateurs_index", "secateurs_width", "_secateurs_dim"
"""Names in the module: where its units go, how wide the stream is, and along which dim. A later trace follows the
first two like any other buffer and size of the model; the third is no size."""


def insert_scatter(model: nn.Module, scatter: Scatter) -> None:
    """Let a module of the model scatter its output."""
    module = model.get_submodule(scatter.path)
    device = next((tensor.device for tensor in (*module.parameters(), *module.buffers())), None)
    module.register_buffer(INDEX, torch.tensor(scatter.kept, device=device), persistent=False)
    setattr(module, WIDTH, scatter.size)
    setattr(module, DIM, scatter.dim)
    # In front of other hooks: those see the output as wide as it was.
    module.register_forward_hook(_scatter, prepend=True)


def scatters_already(module: nn.Module) -> bool:
    """Whether the output of a module is scattered."""
    return INDEX in module._buffers


def _scatter(module: nn.Module, _args: Any, output: Tensor) -> Tensor:
    dim, shape = getattr(module, DIM), list(output.shape)
    shape[dim] = getattr(module, WIDTH)
    return output.new_zeros(shape).index_copy_(dim, getattr(module, INDEX), output)
