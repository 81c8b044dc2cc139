"""Optimizer state as a file, by parameter name: momentum that survives a cut, and a kill."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from secateurs._errors import FileError
from secateurs._files import load_tensors, save_tensors

__all__ = ["load_optimizer_state", "save_optimizer_state"]


def save_optimizer_state(path: Path, model: nn.Module, optimizer: Optimizer) -> None:
    """Write every tensor of the optimizer's state as `<parameter name>:<key>`; settings come from the recipe."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    tensors = {
        f"{names[id(parameter)]}:{key}": torch.as_tensor(value)
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
        if value is not None
    }
    save_tensors(path, tensors)


def load_optimizer_state(path: Path, model: nn.Module, optimizer: Optimizer) -> None:
    """Fill a new optimizer over `model` with the state in the file."""
    tensors, _ = load_tensors(path)
    parameters = dict(model.named_parameters())
    state: dict[Tensor, dict[str, Tensor]] = {}
    for entry, value in tensors.items():
        name, _, key = entry.rpartition(":")
        if name not in parameters:
            raise FileError(
                str(path),
                wanted=f"state of parameters of this {type(model).__name__}",
                got=f"state of {name!r}",
                cure="The file belongs to another run.",
            )
        # Step counters stay on the CPU, where torch's optimizers keep them.
        device = parameters[name].device if value.dim() else value.device
        state.setdefault(parameters[name], {})[key] = value.to(device)
    optimizer.state.update(state)
