"""Returns of decisions, for the policy gradient."""

import torch
from torch import Tensor

__all__ = ["discounted", "without_own"]


def discounted(rewards: Tensor, terminal: Tensor, gamma: float) -> Tensor:
    """R_i = r_i + gamma R_(i+1), and R behind the last gate is the terminal reward; for each image by itself.

    Args:
        rewards: [gates, B].
        terminal: [B].
        gamma: discount of one step.

    Returns:
        [gates, B].
    """
    following, found = terminal, []
    for reward in rewards.flip(0):
        following = reward + gamma * following
        found.append(following)
    return torch.stack(found[::-1])


def without_own(returns: Tensor, total: Tensor, images: int) -> Tensor:
    """For each image the mean of the step's other images' returns, [gates, B]; 0 where there are no others.

    An image's own return left out, the baseline does not depend on its decisions, and the gradient stays unbiased.

    Args:
        returns: [gates, B].
        total: the sum of the returns of all images of the step, [gates].
        images: how many these are.
    """
    return (total[:, None] - returns) / max(1, images - 1)
