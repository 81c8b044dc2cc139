"""A network with gates but no BatchNorm, for tests/distributed/test_gates.py."""

from typing import Any

import torch
from torch import Tensor, nn

from secateurs import _distributed
from secateurs._sharding import part, weight
from secateurs.dynamic import Reinforce, gate

__all__ = ["network", "step"]


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.inner(x).relu()
        return x + added


def network(width: int = 12, blocks: int = 4) -> nn.Module:
    """Residual blocks over the pixels of a digit."""
    layers = [nn.Flatten(), nn.Linear(64, width), *(_Block(width) for _ in range(blocks)), nn.Linear(width, 10)]
    return nn.Sequential(*layers)


def step(images: int = 7) -> dict[str, Any]:
    """Loss and gradients of one step of reinforcement with a baseline, from this rank's part of the images."""
    torch.manual_seed(0)
    x, labels = torch.rand(images, 1, 8, 8).double(), torch.arange(images) % 10
    model = gate(network(), (x[:1].float(),), bias=0.0, seed=1).double()
    objective, shard = (
        Reinforce(baseline="batch", alpha=3.0, rl_weight=1.0),
        (
            _distributed.rank(),
            _distributed.world(),
        ),
    )
    rows = part(images, shard)
    objective.begin_step(17, images, rows)
    loss, _ = objective.loss(model, x[rows], labels[rows])
    (loss * weight(images, shard)).backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    _distributed.average(gradients.values())
    return {name: gradient.flatten().tolist() for name, gradient in gradients.items()}
