"""A penalty on groups of parameters while they train."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from secateurs.sparsity._groups import Groups

__all__ = ["Penalty"]


class Penalty:
    """What draws groups of parameters to zero: made for a network as it is, until its next cut.

    In a loop of your own, between backward and step:

        penalty = GroupLasso(strength=1e-4).on(graph)
        loss.backward()
        penalty.add_gradients(step)
        optimizer.step()

    The gradients are those that the term `value(step)` in the loss would have, but the loss stays what it was, and
    nothing is kept for a backward pass. With momentum or Adam they go through the optimizer's state like all others.
    Nothing is read back to the host. It has no state: what it adds follows from weights and step alone.

    Args:
        groups: of parameters.
        strengths: of each group [number], or of all of them [].
        power: 1 for sum of strength * norm, whose gradient has the same length whatever the norm; 2 for sum of
            strength / 2 * norm^2.
        factor: of the strengths at a step (0-based) of the training; None for 1.
    """

    def __init__(
        self, groups: Groups, strengths: Tensor, power: Literal[1, 2], factor: Callable[[int], float] | None = None
    ) -> None:
        self._groups, self._strengths, self._power, self._factor = groups, strengths, power, factor

    def value(self, step: int = 0) -> Tensor:
        """The term of the loss, a scalar without gradients."""
        norms = self._groups.norms()
        strengths = self._at(step, norms)
        return (strengths * norms).sum() if self._power == 1 else (strengths * norms.square()).sum() / 2

    def norms(self) -> Tensor:
        """The norm of each group [number], axis by axis in the order of the graph."""
        return self._groups.norms()

    def small_units(self, ratio: float = 0.1) -> float:
        """The fraction of groups with a norm below `ratio` times the largest of their axis; waits for the device."""
        parts = self._groups.norms().split(self._groups.parts)
        small = sum(int((part < ratio * part.max()).sum()) for part in parts)
        return small / self._groups.number

    def add_gradients(self, step: int = 0) -> None:
        """Add the gradients of the term to those of the parameters; where a group is zero, its is zero.

        Parameters without a gradient are left alone: they do not train.

        Raises:
            TrainingError: none of the parameters has a gradient.
        """
        norms = self._groups.norms()
        strengths = self._at(step, norms)
        if self._power == 1:
            # A subgradient at zero: any vector no longer than the strength is one, and this one divides by nothing.
            strengths = torch.where(norms > 0, strengths / norms, 0)
        self._groups.add_gradients(strengths)

    def _at(self, step: int, norms: Tensor) -> Tensor:
        # Kept where the weights are: a copy at every step would hold up the device.
        self._strengths = self._strengths.to(norms)
        return self._strengths if self._factor is None else self._strengths * self._factor(step)
