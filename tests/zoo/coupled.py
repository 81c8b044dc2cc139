"""Sizes that the code computes from each other, and sizes that it computes with as numbers."""

import math
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.zoo._entry import Entry, image, tokens, vector

__all__ = ["ENTRIES"]


class Heads(nn.Module):
    """Attention whose head size is width // heads wherever it is needed."""

    def __init__(self, width: int, heads: int, how: str) -> None:
        super().__init__()
        self.how, self.width, self.heads = how, width, heads
        self.scale = (width // heads) ** -0.5
        self.norm, self.qkv, self.out = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        if self.how == "attribute":
            c = self.width
        y = self.qkv(self.norm(x)).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = y[0], y[1], y[2]
        scale = (c // self.heads) ** -0.5 if self.how == "number" else self.scale
        if self.how == "cosine":
            q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        if self.how == "channels":
            y = (q.transpose(-2, -1) @ k * scale).softmax(-1) @ v.transpose(-2, -1)
            y = y.permute(0, 3, 1, 2).reshape(b, n, c)
        else:
            y = ((q * scale) @ k.transpose(-2, -1)).softmax(-1) @ v
            y = y.transpose(1, 2).reshape(b, n, c)
        out: Tensor = x + self.out(y)
        return out


class Stack(nn.Module):
    """Blocks on one residual stream; each may have its own number of heads."""

    def __init__(self, how: str, *, width: int = 12, heads: tuple[int, ...] = (3, 3)) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(5, width), nn.Linear(width, 4)
        self.blocks = nn.Sequential(*[Heads(width, count, how) for count in heads])

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.blocks(self.first(x)).mean(1))
        return out


class Parts(nn.Module):
    """Channels taken apart by sizes computed from their number."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.part, self.parts = how, 4, [2, 4, 6]
        self.first, self.hidden, self.last = nn.Linear(6, 12), nn.Linear(12, 8), nn.Linear(8, 4)
        self.side = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        c = y.shape[1]
        if self.how == "halves":
            half, _ = divmod(c, 2)
            y = torch.cat([F.gelu(y[:, :half]), y[:, half:].tanh()], 1)
        elif self.how == "gated":
            one, two = y[:, : c // 2], y[:, c // 2 :]
            y = torch.cat([one * two, one + self.side(x)], 1)
        elif self.how == "thirds":
            one, two = y.split([c // 3, c - c // 3], 1)
            y = torch.cat([two, one.tanh()], 1)
        elif self.how == "double":
            one, two = y.split([self.part, 2 * self.part], 1)
            y = torch.cat([two.sigmoid(), one], 1)
        elif self.how == "list":
            one, two, three = y.split(self.parts, 1)
            y = torch.cat([three.tanh(), one, two.sigmoid()], 1)
        elif self.how == "quarter":
            y = torch.cat([y[:, : c // 4].tanh(), y[:, c // 4 :]], 1)
        out: Tensor = self.last(F.gelu(self.hidden(y)))
        return out


class Settings:
    """A plain object with sizes, as libraries hand to their modules."""

    def __init__(self) -> None:
        self.groups, self.width = 3, 4


class Configured(nn.Module):
    """Views sized by what a configuration holds."""

    def __init__(self) -> None:
        super().__init__()
        self.config = Settings()
        self.first, self.hidden, self.last = nn.Linear(6, 12), nn.Linear(12, 7), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x).view(-1, self.config.groups, self.config.width)
        y = F.layer_norm(y, (self.config.width,)).flatten(1)
        out: Tensor = self.last(F.gelu(self.hidden(y)))
        return out


class Grouped(nn.Module):
    """Convolutions in groups whose number follows from the channels, and channels shuffled between groups."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.per_group, self.groups = how, 4, 2
        self.first, self.last = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)
        self.weight = nn.Parameter(torch.ones(8, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        b, c, h, w = x.shape
        if self.how == "groups":
            x = F.conv2d(x, self.weight, groups=c // self.per_group)
        elif self.how == "shuffle":
            x = x.view(b, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(b, c, h, w).tanh()
        else:
            x = F.group_norm(x, c // self.per_group)
        out: Tensor = self.last(F.gelu(x).mean((2, 3)))
        return out


class Numbers(nn.Module):
    """Sizes used as numbers: what is computed with them follows a cut."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.width = how, 12
        self.first, self.hidden, self.last = nn.Linear(6, 12), nn.Linear(12, 7), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        c = y.size(-1)
        scaled: dict[str, Any] = {
            "root": lambda: y / math.sqrt(c),
            "power": lambda: y * c**-0.5,
            "mean": lambda: y - y.sum(-1, keepdim=True) / c,
            "tensor": lambda: y.mul(c).div_(10),
            "ratio": lambda: y * (c / 7),
            "less": lambda: y * (c - 1),
            "attribute": lambda: y.view(-1, self.width) * self.width**-0.5,
        }
        out: Tensor = self.last(F.gelu(self.hidden(F.gelu(scaled[self.how]()))))
        return out


class Compared(nn.Module):
    """Projects where two sizes differ, and must go on doing so when they meet."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = 6, 12
        self.first, self.wide, self.last = nn.Linear(5, 6), nn.Linear(6, 12), nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = F.gelu(self.first(x))
        if self.inner != self.outer:
            y = self.wide(y)
        out: Tensor = self.last(y.view(-1, self.outer))
        return out


_TOKENS, _VECTOR, _IMAGE = tokens(6, 5), vector(6), image(3, 5, 5)

ENTRIES = {
    "compared_sizes": Entry(build=Compared, arguments=vector(5), axes={"first": 6, "wide": 12}),
    **{
        f"coupled_heads_{how}": Entry(build=partial(Stack, how), arguments=_TOKENS, axes={"first": 12})
        for how in ("tensor", "attribute", "number", "cosine")
    },
    "coupled_heads_channels": Entry(build=partial(Stack, "channels"), arguments=_TOKENS, axes={"first": 12}),
    "coupled_heads_differ": Entry(
        build=partial(Stack, "tensor", width=24, heads=(2, 4, 3)), arguments=_TOKENS, axes={"first": 24}
    ),
    **{
        f"coupled_parts_{how}": Entry(build=partial(Parts, how), arguments=_VECTOR, axes={"hidden": 8})
        for how in ("halves", "gated", "thirds", "double", "list", "quarter")
    },
    "coupled_settings": Entry(
        build=Configured, arguments=_VECTOR, axes={"first:hidden.1": 3, "first:hidden.2": 4, "hidden": 7}
    ),
    **{
        f"coupled_{how}": Entry(build=partial(Grouped, how), arguments=_IMAGE)
        for how in ("groups", "shuffle", "group_norm")
    },
    **{
        f"number_{how}": Entry(
            build=partial(Numbers, how),
            arguments=_VECTOR,
            axes={"first": 12, "hidden": 7},
            zeroing="a number follows the size",
        )
        for how in ("root", "power", "mean", "tensor", "ratio", "less", "attribute")
    },
}
