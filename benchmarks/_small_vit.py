"""A small vision transformer for 32 x 32 images (Dosovitskiy et al., 2021), with patches of 4 x 4."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["SmallViT"]


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, N, width] to the same."""
        batch, places, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, places, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, places, width)
        x = x + self.proj(mixed)
        made: Tensor = self.fc2(F.gelu(self.fc1(self.norm2(x))))
        return x + made


class SmallViT(nn.Module):
    """2.7 million parameters at the defaults; the mean over all places is what is classified."""

    def __init__(self, *, classes: int = 10, width: int = 192, depth: int = 9, heads: int = 3) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, stride=4)
        self.position = nn.Parameter(0.02 * torch.randn(1, 64, width))
        self.blocks = nn.Sequential(*(_Block(width, heads) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, 3, 32, 32] to logits."""
        made: Tensor = self.patches(x).flatten(2).transpose(1, 2)
        logits: Tensor = self.head(self.norm(self.blocks(made + self.position)).mean(1))
        return logits
