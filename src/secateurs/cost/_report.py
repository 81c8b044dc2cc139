"""What one call of a model takes."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from secateurs.graph import Cost, trace

__all__ = ["cost"]


def cost(
    model: nn.Module,
    args: tuple[Any, ...] | Mapping[str, Any] | Tensor = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    train: bool = False,
) -> Cost:
    """Parameters, bytes, multiply-adds and peak activation bytes of one call `model(*args, **kwargs)`.

    The model runs once on tensors without contents, so nothing is computed and nothing is changed.

    Args:
        model: any module.
        args, kwargs: an example call, given in any of the ways of `trace`. The batch it holds counts in full.
        train: count the operations of forward and backward too, as `train_gops`.

    Raises:
        GraphError: the model fails on these arguments.
    """
    return trace(model, args, kwargs).cost(train=train)
