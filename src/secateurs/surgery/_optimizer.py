"""Optimizer state through a cut: momentum and moments of what stays, survive."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from secateurs._errors import PlanError
from secateurs.graph import Cut, Plan
from secateurs.surgery._cut import cut_tensor, cuts_by_path

__all__ = ["check_optimizer", "cut_optimizer"]


def check_optimizer(optimizer: Optimizer, model: nn.Module, plan: Plan) -> None:
    """Refuse an optimizer whose state cannot be cut along.

    Raises:
        PlanError: a state tensor has neither the parameter's shape nor sizes of 1; nothing was changed.
    """
    cuts_of = cuts_by_path(plan)
    for path, parameter in model.named_parameters():
        cuts = cuts_of.get(path, ())
        for name, value in optimizer.state.get(parameter, {}).items():
            if not _can_cut(value, parameter, cuts):
                got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
                raise PlanError(
                    f"{type(optimizer).__name__} state {name!r} of {path}",
                    wanted=f"a tensor of shape {tuple(parameter.shape)}, or with sizes of 1",
                    got=str(got),
                    cure="Apply the plan without an optimizer and make a new one.",
                )


def _can_cut(value: Any, parameter: Tensor, cuts: Sequence[Cut]) -> bool:
    """Also for parameters that are not cut: their state may be about all (LBFGS), and that would not fit."""
    if not isinstance(value, Tensor):
        return value is None or isinstance(value, (bool, int, float, str))
    if value.dim() == 0 or value.numel() == 1:
        return True
    if value.dim() != parameter.dim():
        return False
    return all(value.shape[cut.dim] in (1, parameter.shape[cut.dim]) for cut in cuts)


@torch.no_grad()
def cut_optimizer(
    optimizer: Optimizer, plan: Plan, parameters: Mapping[str, tuple[nn.Parameter, nn.Parameter]]
) -> None:
    """Point an optimizer at the cut parameters and cut its state along.

    Args:
        optimizer: changed in place.
        plan: the plan that was carried out.
        parameters: path to (parameter the optimizer holds, parameter it shall hold).
    """
    cuts = cuts_by_path(plan)
    moved = {id(old): new for old, new in parameters.values()}
    for group in optimizer.param_groups:
        group["params"] = [moved.get(id(parameter), parameter) for parameter in group["params"]]
    for path, (old, new) in parameters.items():
        if old not in optimizer.state:
            continue
        state = optimizer.state.pop(old)
        for name, value in state.items():
            if isinstance(value, Tensor) and value.dim() == new.dim() and value.numel() > 1:
                state[name] = cut_tensor(value, cuts.get(path, ()))
        optimizer.state[new] = state
