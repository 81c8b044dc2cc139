"""Networks with one difficulty each."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs import models


class Attention(nn.Module):
    """Axes of heads and of their dims share positions; the weight in the middle reads and makes one stream."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(5, 8)
        self.norm = nn.LayerNorm(8)
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        q, k, v = self.qkv(self.norm(x)).view(len(x), -1, 3, 4, 2).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(len(x), -1, 8)
        scores: Tensor = self.head((x + self.out(y)).mean(1))
        return scores


class Loop(nn.Module):
    """A square weight on a stream: its diagonal goes with one unit on both dims."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.square, self.last = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        scores: Tensor = self.last(x + self.square(x))
        return scores


class Flattened(nn.Module):
    """A channel has four places in what the linear layer reads; kernels are depthwise, grouped and transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.Conv2d(6, 6, 3, padding=1, groups=6),
            nn.ReLU(),
            nn.Conv2d(6, 8, 1, groups=2),
            nn.ConvTranspose2d(8, 4, 2, stride=2),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.body(x)
        return scores


def _resnet() -> nn.Module:
    return models.build("resnet8", classes=3, channels=3, width=0.25)


NETS: Mapping[str, tuple[Callable[[], nn.Module], Tensor]] = {
    "resnet": (_resnet, torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))),
    "attention": (Attention, torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(0))),
    "loop": (Loop, torch.randn(2, 4, generator=torch.Generator().manual_seed(0))),
    "flattened": (Flattened, torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))),
}


def make(name: str) -> tuple[nn.Module, Tensor]:
    """A network in float64 with random scales and shifts, and an input."""
    factory, x = NETS[name]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = factory().double()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model, x.double()
