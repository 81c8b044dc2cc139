"""How gates decide."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx

from secateurs.dynamic._route import Policy

__all__ = ["Given", "Proving", "Sampled", "Soft", "Thresholded", "Watched"]


class Thresholded:
    """Run the block where its chance is above one half; backwards, as if the chance itself had been the decision."""

    binary = True

    def mask(self, number: int, logit: Tensor) -> Tensor:  # noqa: ARG002 - protocol
        """0 or 1, with the gradient of the chance (straight through)."""
        if not torch.is_grad_enabled():
            return (logit > 0).to(logit.dtype)
        found: Tensor = _StraightThrough.apply(logit.sigmoid(), logit)
        return found


class Soft:
    """Take of the block what its chance is. Trained so, then thresholded, networks fall apart (SkipNet, table 3)."""

    binary = False

    def mask(self, number: int, logit: Tensor) -> Tensor:  # noqa: ARG002 - protocol
        """The chance."""
        return logit.sigmoid()


class Proving:
    """At least half of every block, and more by its chance: whatever is wrong in a block or a gate shows."""

    binary = False

    def mask(self, number: int, logit: Tensor) -> Tensor:  # noqa: ARG002 - protocol
        """From 1/2 to 1."""
        return (1 + logit.sigmoid()) / 2


class Sampled:
    """Run the block with its chance.

    Args:
        numbers: uniform in 0..1, [B, gates].
    """

    binary = True

    def __init__(self, numbers: Tensor) -> None:
        self._numbers = numbers
        self.decisions: list[Tensor] = []
        self.log_chances: list[Tensor] = []
        """Of what was decided, with gradients; both [B] for every gate."""

    def mask(self, number: int, logit: Tensor) -> Tensor:
        """0 or 1, without gradient."""
        taken = self._numbers[:, number].to(logit.dtype) < logit.detach().sigmoid()
        self.decisions.append(taken.to(logit.dtype))
        self.log_chances.append(F.logsigmoid(torch.where(taken, logit, -logit)))
        return self.decisions[-1]


class Given:
    """Decisions made beforehand, whatever the chances.

    Args:
        decisions: [gates, B], of bools or of 0 and 1; B may be 1 for all images alike.
    """

    binary = True

    def __init__(self, decisions: Tensor | Sequence[Sequence[float]]) -> None:
        self._decisions = torch.as_tensor(decisions)

    def mask(self, number: int, logit: Tensor) -> Tensor:
        """As given."""
        return self._decisions[number].to(logit).expand(len(logit))


class Watched:
    """Another policy, with a memory.

    Attributes:
        masks: what it decided, [B] for every gate of the calls so far.
    """

    def __init__(self, policy: Policy) -> None:
        self.binary = policy.binary
        self._policy = policy
        self.masks: list[Tensor] = []

    def mask(self, number: int, logit: Tensor) -> Tensor:
        """As that one decides."""
        found = self._policy.mask(number, logit)
        self.masks.append(found)
        return found


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, chance: Tensor, logit: Tensor) -> Tensor:  # noqa: ARG004 - torch's signature
        # By the logit, as without gradients: a chance just above one half rounds to it.
        return (logit > 0).to(chance.dtype)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        return gradient, None
