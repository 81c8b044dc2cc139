"""Optimizers: made from options, or taken over with the momentum that they have."""

import torch
from torch import nn
from torch.optim import Optimizer

from secateurs._errors import TrainingError
from secateurs.training._options import TrainOptions

__all__ = ["check_optimizer", "make_optimizer", "move_state"]


def make_optimizer(model: nn.Module, options: TrainOptions) -> Optimizer:
    """An optimizer over the model's trainable parameters, all in one group and all with weight decay.

    Raises:
        TrainingError: every parameter is frozen.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise TrainingError(
            type(model).__name__,
            wanted="at least one parameter with requires_grad",
            got="none",
            cure="Unfreeze the parameters that should learn.",
        )
    if options.optimizer == "rmsprop":
        # torch has no fused form of it.
        return torch.optim.RMSprop(trained, lr=options.lr, momentum=options.momentum, weight_decay=options.weight_decay)
    fused = _can_fuse(trained)
    if options.optimizer != "sgd":
        kind = torch.optim.Adam if options.optimizer == "adam" else torch.optim.AdamW
        return kind(trained, lr=options.lr, weight_decay=options.weight_decay, fused=fused)
    return torch.optim.SGD(
        trained,
        lr=options.lr,
        momentum=options.momentum,
        nesterov=options.nesterov,
        weight_decay=options.weight_decay,
        fused=fused,
    )


def _can_fuse(parameters: list[nn.Parameter]) -> bool | None:
    """True where one kernel can do a whole step; None leaves the choice to torch.

    On two CPU cores a fused step takes a third (ResNet-20) to a fifth (ResNet-18) of the time of torch's choice.
    """
    able = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in parameters)
    return True if able else None


def check_optimizer(model: nn.Module, optimizer: Optimizer) -> None:
    """Refuse an optimizer of another model: it would run without an error and train nothing."""
    own = {id(parameter) for parameter in model.parameters()}
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    strange = sum(id(parameter) not in own for parameter in held)
    if strange:
        raise TrainingError(
            f"optimizer {type(optimizer).__name__}",
            wanted=f"parameters of this {type(model).__name__}",
            got=f"{strange} of {len(held)} that belong to another model",
            cure="Pass the optimizer that was cut along with this model, or none to make a new one.",
        )


def move_state(optimizer: Optimizer) -> None:
    """Bring momentum and moments to the device and memory order of their parameters.

    A vectorised kernel may round differently for operands in different orders, so a resumed run needs the
    order that an uninterrupted one has.
    """
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape and value.dim() > 0:
                state[key] = _like(value, parameter)


def _like(value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    if value.device == parameter.device and value.stride() == parameter.stride():
        return value
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
