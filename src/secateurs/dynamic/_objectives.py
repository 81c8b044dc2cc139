"""What gates are trained by: labels alone at first, then what decisions are worth (SkipNet, sections 3.2 and 3.3)."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs import _distributed
from secateurs._errors import ConfigError
from secateurs.dynamic._policies import Sampled, Soft, Thresholded, Watched
from secateurs.dynamic._returns import discounted, without_own
from secateurs.dynamic._route import deciding, route_of

__all__ = ["Baseline", "Reinforce", "Supervised"]

Baseline = Literal["none", "batch"]
"""What is taken from returns: nothing, or the mean return of the step's other images."""


class Supervised:
    """Cross-entropy with gates that decide by threshold, and gradients that go straight through.

        loss = mean over images of (cross-entropy + penalty * sum_i c_i m_i)

    with decisions m_i of gate i and its block's share c_i of the cost.

    Args:
        soft: take of each block what its chance is, instead of deciding.
        penalty: of the compute; 0 in the publication, where this stage skips what does not help.
        shares: c_i, adding up to 1; None for equal ones.
        label_smoothing: of the cross-entropy.
    """

    def __init__(
        self,
        *,
        soft: bool = False,
        penalty: float = 0.0,
        shares: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        self._soft, self._penalty = soft, penalty
        self._shares, self._label_smoothing = shares, label_smoothing

    def validate(self, module: nn.Module, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Scores [B, classes] of the ways that gates decide on, and `computed`, the share of the cost of these, [B]."""
        return _validated(module, images, self._shares)

    def loss(self, module: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The mean loss and the scores [B, classes]."""
        policy = Watched(Soft() if self._soft else Thresholded())
        with deciding(module, policy):
            scores = module(images)
        loss = F.cross_entropy(scores, labels, label_smoothing=self._label_smoothing)
        if self._penalty:
            masks = torch.stack(policy.masks)
            loss = loss + self._penalty * (_weights(self._shares, masks) * masks).sum(0).mean()
        return loss, scores


class Reinforce:
    """Cross-entropy of sampled routes, and the policy gradient of the decisions that led to it (hybrid learning).

    Each gate i runs its block with its chance. For every image by itself, with decisions g_i, shares c_i of the cost:

        r_i = (1 - g_i) alpha c_i,  R_i = r_i + gamma R_(i+1),  behind the last gate R = -beta * cross-entropy
        loss = cross-entropy - rl_weight * sum_i log pi(g_i) (R_i - baseline_i)

    and the mean over images of it. With equal shares that is the publication's reward, alpha / gates. In training mode
    random numbers follow from the step, and the image's place in it: several ranks draw as one process does.

    Args:
        alpha: worth of leaving out all blocks.
        gamma: discount from gate to gate.
        beta: scale of the terminal reward.
        rl_weight: of the policy gradient in the loss.
        baseline: taken from returns; `batch` takes the step's other images, those of other ranks too.
        shares: c_i, adding up to 1; None for equal ones.
        label_smoothing: of the cross-entropy that weights are trained by; rewards are without.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.1,
        gamma: float = 1.0,
        beta: float = 1.0,
        rl_weight: float = 0.01,
        baseline: Baseline = "none",
        shares: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        self._alpha, self._gamma, self._beta, self._rl_weight = alpha, gamma, beta, rl_weight
        self._baseline, self._shares, self._label_smoothing = baseline, shares, label_smoothing
        self._step: tuple[int, int, slice] | None = None

    def begin_step(self, key: int, images: int, part: slice) -> None:
        """The step that random numbers are for from now on: all `images` of it, of which this rank has `part`."""
        self._step = key, images, part

    def loss(self, module: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The mean loss and the scores [B, classes] of the sampled routes."""
        policy = Sampled(self._numbers(images, route_of(module).gates))
        with deciding(module, policy):
            scores = module(images)
        errors = F.cross_entropy(scores, labels, reduction="none", label_smoothing=self._label_smoothing)
        return (errors + self._rl_weight * self.policy_losses(policy, scores, labels)).mean(), scores

    def validate(self, module: nn.Module, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Scores [B, classes] of the ways that gates decide on, and `computed`, the share of the cost of these, [B]."""
        return _validated(module, images, self._shares)

    def policy_losses(self, policy: Sampled, scores: Tensor, labels: Tensor) -> Tensor:
        """For each image, what its gates' gradient comes from: -sum_i log pi(g_i) R_i, [B]."""
        decisions, log_chances = torch.stack(policy.decisions), torch.stack(policy.log_chances)
        errors = F.cross_entropy(scores.detach().to(log_chances.dtype), labels, reduction="none")
        rewards = (1 - decisions) * self._alpha * _weights(self._shares, decisions)
        returns = discounted(rewards, -self._beta * errors, self._gamma)
        if self._baseline == "batch":
            returns = returns - without_own(returns, *self._of_step(returns))
        return -(log_chances * returns).sum(0)

    def _of_step(self, returns: Tensor) -> tuple[Tensor, int]:
        """The sum [gates] over all images of the step, and how many these are."""
        here, total = returns.shape[1], returns.sum(1)
        images = here if self._step is None else self._step[1]
        if images != here:  # this rank has a part of them
            _distributed.all_reduce([total])
        return total, images

    def _numbers(self, images: Tensor, gates: int) -> Tensor:
        if self._step is None:
            return torch.rand(len(images), gates, device=images.device)
        key, total, part = self._step
        generator = torch.Generator(images.device).manual_seed(key)
        return torch.rand(total, gates, generator=generator, device=images.device)[part]


def _validated(module: nn.Module, images: Tensor, shares: Sequence[float] | None) -> tuple[Tensor, dict[str, Tensor]]:
    policy = Watched(Thresholded())
    with deciding(module, policy):
        scores = module(images)
    masks = torch.stack(policy.masks)
    return scores, {"computed": (_weights(shares, masks) * masks).sum(0)}


def _weights(shares: Sequence[float] | None, masks: Tensor) -> Tensor:
    """[gates, 1], like the masks [gates, B]."""
    gates = len(masks)
    if shares is not None and len(shares) != gates:
        cure = "Take them from secateurs.dynamic.gated_cost(model, args).shares."
        raise ConfigError("shares", wanted=f"one for each of {gates} gates", got=str(len(shares)), cure=cure)
    return torch.tensor(shares or [1 / gates] * gates, dtype=masks.dtype, device=masks.device)[:, None]
