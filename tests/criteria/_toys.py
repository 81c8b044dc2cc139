"""Small networks with random weights, and what tests do to them."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from secateurs.graph import Axis, Graph, trace

Chain = nn.Sequential


class Residual(nn.Module):
    """Two producers of one stream, and a flattened head with several positions per unit."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.inner = nn.Conv2d(6, 5, 3, padding=1)
        self.outer = nn.Conv2d(5, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.head = nn.Linear(6 * 4 * 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.relu(x + self.norm(self.outer(torch.relu(self.inner(x)))))
        result: Tensor = self.head(x.flatten(1))
        return result


class Attention(nn.Module):
    """Heads and their inner sizes share the rows of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        result: Tensor = self.head(x + self.attention(x, x, x, need_weights=False)[0])
        return result


def _chain() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 7), nn.ReLU(), nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3))


def _grouped() -> nn.Module:
    layers = [nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 12, 1, groups=4), nn.Conv2d(12, 2, 1)]
    return nn.Sequential(*layers, nn.Flatten())


TOYS: Mapping[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "chain": (_chain, (2, 4)),
    "residual": (Residual, (2, 3, 4, 4)),
    "attention": (Attention, (2, 5, 4)),
    "grouped": (_grouped, (2, 3, 4, 4)),
}


def toy(name: str, *, dtype: torch.dtype = torch.float32, seed: int = 0) -> tuple[Graph, Tensor]:
    """The graph of a network filled with random numbers, and an input for it."""
    build, shape = TOYS[name]
    model = fill(build().to(dtype), seed)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed + 1), dtype=dtype)
    return trace(model, (x,)), x


def fill(model: nn.Module, seed: int = 0) -> nn.Module:
    """Random parameters and buffers; variances positive."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if tensor.is_floating_point():
                values = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
                tensor.copy_(values.abs() + 0.1 if name.endswith("var") else values)
    return model


def permute(graph: Graph, axis: Axis, order: Tensor) -> None:
    """Put unit `order[u]` of an axis in the place of unit u, in every member."""
    with torch.no_grad():
        for member in axis.members:
            tensor = graph.tensor(member.path)
            positions, units = torch.from_numpy(member.positions), torch.from_numpy(member.units)
            source = torch.arange(tensor.shape[member.dim])
            for unit, other in enumerate(order.tolist()):
                source[positions[units == unit]] = positions[units == other]
            tensor.copy_(tensor.index_select(member.dim, source))
