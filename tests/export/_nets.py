"""Tiny networks to export, and what cuts them."""

import torch
from torch import Tensor, nn

import secateurs as sec
from secateurs.surgery import fill_random


class Residual(nn.Module):
    """Two residual blocks, so that it has branches to cut and blocks to gate."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.blocks = nn.Sequential(Block(8), Block(8))
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.stem(x).relu())
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


class Block(nn.Module):
    """Adds to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = (x + self.second(self.norm(self.first(x)).relu())).relu()
        return y


def image(batch: int = 1) -> Tensor:
    """Random images for these networks."""
    return torch.randn(batch, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def residual() -> nn.Module:
    """Weights and statistics that are all different."""
    model = Residual()
    fill_random(model, seed=0)
    return model.eval()


def cut(model: nn.Module, example: Tensor, *, kinds: tuple[str, ...] | None = None, ratio: float = 0.3) -> sec.Result:
    """Some units of it removed."""
    graph = sec.trace(model, example)
    plan = sec.select(graph, sec.criteria.Random(seed=0)(graph), remove={"macs": ratio}, kinds=kinds)
    return sec.apply(model, plan)


def mlp_of_8() -> nn.Module:
    """A factory without arguments."""
    return sec.models.build("mlp", widths=(12, 8), size=8)
