"""An objective with gradients from elsewhere."""

from typing import Any, Protocol

from torch import Tensor, nn

from secateurs.training._objective import Objective, end_backward

__all__ = ["AddsGradients", "Penalised"]


class AddsGradients(Protocol):
    """A penalty on weights."""

    def add_gradients(self, step: int) -> None: ...


class Penalised:
    """Another objective, and a penalty whose gradients are added after each backward pass.

    The loss stays that of the other objective, in what is recorded and in validation. Every rank adds the same, after
    gradients were exchanged.

    Args:
        objective: the other one.
        penalty: asked to add its gradients, with the step (0-based) of the whole training.
    """

    def __init__(self, objective: Objective, penalty: AddsGradients) -> None:
        self._objective, self._penalty = objective, penalty

    def __getattr__(self, name: str) -> Any:
        """What else the other objective can do."""
        return getattr(self._objective, name)

    def loss(self, module: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        """That of the other objective."""
        return self._objective.loss(module, images, labels)

    def add_gradients(self, step: int) -> None:
        """Those of the other objective, if it has any, and those of the penalty."""
        end_backward(self._objective, step)
        self._penalty.add_gradients(step)
