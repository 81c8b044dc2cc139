"""Small networks, one kind of contraction each."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Build = Callable[[], nn.Module]


class SelfAttention(nn.Module):
    """Heads by hand around the fused operator."""

    def __init__(self, *, causal: bool = False) -> None:
        super().__init__()
        self.causal = causal
        self.heads = 4
        self.inward, self.outward = nn.Linear(16, 48), nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        q, k, v = self.inward(x).view(batch, length, 3, self.heads, 4).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        result: Tensor = self.outward(mixed.transpose(1, 2).flatten(2))
        return result


class MultiHead(nn.Module):
    """torch's own attention module."""

    def __init__(self, *, need_weights: bool) -> None:
        super().__init__()
        self.need_weights = need_weights
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.attention(x, x, x, need_weights=self.need_weights)[0]
        return result


class Products(nn.Module):
    """Matrix products written out, batched ones among them."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Parameter(torch.randn(16, 5))
        self.right = nn.Parameter(torch.randn(3, 5, 7))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.einsum("blc,ch->bhl", x, self.left) + torch.matmul(x, self.left).transpose(1, 2)
        x = torch.bmm(x.transpose(1, 2), self.right[: len(x)])
        return torch.baddbmm(x.new_zeros(()), x.transpose(1, 2), x) @ x.new_ones(7, 2)


def _convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, stride=2, padding=1),
        nn.Conv2d(8, 8, 3, groups=8, padding=2, dilation=2),
        nn.Conv2d(8, 12, 1, groups=4, bias=False),
        nn.ConvTranspose2d(12, 6, 4, stride=2, padding=1),
        nn.ConvTranspose2d(6, 6, 3, groups=3),
    )


def _perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(16, 9), nn.GELU(), nn.Linear(9, 5, bias=False))


NETS: Mapping[str, tuple[Build, tuple[int, ...]]] = {
    "perceptron": (_perceptron, (3, 16)),
    "perceptron on sequences": (_perceptron, (2, 6, 16)),
    "convolutions": (_convolutions, (3, 4, 10, 12)),
    "convolution 1d": (lambda: nn.Sequential(nn.Conv1d(4, 6, 3), nn.ConvTranspose1d(6, 2, 3)), (3, 4, 9)),
    "convolution 3d": (lambda: nn.Conv3d(4, 6, (1, 2, 3)), (2, 4, 5, 5, 5)),
    "fused attention": (SelfAttention, (3, 6, 16)),
    "causal attention": (lambda: SelfAttention(causal=True), (3, 6, 16)),
    "multi-head attention": (lambda: MultiHead(need_weights=False), (3, 6, 16)),
    "multi-head attention with weights": (lambda: MultiHead(need_weights=True), (3, 6, 16)),
    "products": (Products, (3, 6, 16)),
}
