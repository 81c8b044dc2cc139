"""How queries, keys and values are made: packed, turned by positions, compressed, learned, taken from elsewhere."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.zoo._entry import Entry, image, tokens

__all__ = ["ENTRIES"]

LENGTH = 5
attend = F.scaled_dot_product_attention


class Attention(nn.Module):
    """Three heads of four, an embedding before, a head after; subclasses make queries, keys and values."""

    def __init__(self, how: str = "") -> None:
        super().__init__()
        self.how, self.heads, self.head_dim = how, 3, 4
        self.embed, self.out, self.head = nn.Linear(6, 10), nn.Linear(12, 10), nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        mixed = self.mix(x).transpose(1, 2)
        out: Tensor = self.head(F.gelu(x + self.out(mixed.reshape(*mixed.shape[:2], -1))))
        return out

    def mix(self, x: Tensor) -> Tensor:
        """[B, heads, L, head_dim] from [B, L, width]."""
        raise NotImplementedError

    def divided(self, x: Tensor) -> Tensor:
        """[B, heads, L, head_dim] from [B, L, heads * head_dim]."""
        return x.view(*x.shape[:2], -1, self.head_dim).transpose(1, 2)


class Packed(Attention):
    """One layer makes all three."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.inner, self.kv_heads = 12, 1
        self.qkv = nn.Linear(10, 20 if how == "shared_key" else 36)

    def mix(self, x: Tensor) -> Tensor:
        """Apart in every order."""
        b, n, _ = x.shape
        qkv = self.qkv(x)
        if self.how == "split":
            q, k, v = (self.divided(part) for part in qkv.split(self.inner, dim=2))
        elif self.how == "shared_key":
            d = self.head_dim
            q, k, v = qkv.split([self.heads * d, self.kv_heads * d, self.kv_heads * d], -1)
            q, k, v = self.divided(q), self.divided(k), self.divided(v)
        elif self.how == "heads_first":
            q, k, v = qkv.view(b, n, self.heads, 3, self.head_dim).permute(0, 2, 3, 1, 4).unbind(2)
        elif self.how == "chunks_of_heads":
            q, k, v = qkv.view(b, n, self.heads, -1).transpose(1, 2).chunk(3, -1)
        else:
            q, k, v = qkv.reshape(b, n, self.heads, self.head_dim, 3).permute(4, 0, 2, 1, 3)
        return attend(q, k, v, is_causal=True, scale=0.5)


class Turned(Attention):
    """Rotary positions in the forms that people write."""

    cosine: Tensor
    sine: Tensor
    table: Tensor

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.turning = 2
        self.q, self.k, self.v = nn.Linear(10, 12), nn.Linear(10, 12), nn.Linear(10, 12)
        self.register_buffer("cosine", torch.randn(LENGTH, 4))
        self.register_buffer("sine", torch.randn(LENGTH, 4))
        self.register_buffer("table", torch.polar(torch.ones(LENGTH, 2), torch.randn(LENGTH, 2)))

    def turn(self, x: Tensor) -> Tensor:
        """[B, heads, L, head_dim]."""
        if self.how == "complex":
            pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2).contiguous())
            return torch.view_as_real(pairs * self.table.to(pairs.dtype)).flatten(3)
        if self.how == "pairs":
            even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
            return x * self.cosine + torch.stack([-odd, even], -1).flatten(-2) * self.sine
        if self.how == "partly":
            still, moved = x[..., self.turning :], x[..., : self.turning]
            one, two = moved.chunk(2, -1)
            return torch.cat([moved * 0.5 + torch.cat([-two, one], -1) * 0.2, still], -1)
        one, two = x.chunk(2, dim=-1)
        return x * self.cosine + torch.cat([-two, one], -1) * self.sine

    def mix(self, x: Tensor) -> Tensor:
        """Turned queries and keys."""
        q, k, v = (self.divided(layer(x)) for layer in (self.q, self.k, self.v))
        return attend(self.turn(q), self.turn(k), v, scale=0.5)


class Latent(Attention):
    """Keys and values out of a narrow stream; a part of every key is shared by all heads."""

    def __init__(self) -> None:
        super().__init__()
        self.plain, self.shared, self.rank = 3, 2, 7
        self.q, self.down = nn.Linear(10, 15), nn.Linear(10, 9)
        self.norm, self.up = nn.RMSNorm(7), nn.Linear(7, 21)

    def mix(self, x: Tensor) -> Tensor:
        """Low-rank keys and values."""
        b, n, _ = x.shape
        q = self.q(x).view(b, n, self.heads, self.plain + self.shared).transpose(1, 2)
        narrow, key = self.down(x).split([self.rank, self.shared], -1)
        kv = self.up(self.norm(narrow)).view(b, n, self.heads, self.plain + self.head_dim).transpose(1, 2)
        k, v = kv.split([self.plain, self.head_dim], -1)
        still, turned = q.split([self.plain, self.shared], -1)
        key = key.view(b, 1, n, self.shared).sin().expand(-1, self.heads, -1, -1)
        return attend(torch.cat([still, turned.cos()], -1), torch.cat([k, key], -1), v, scale=0.4)


class Differing(Attention):
    """The difference of two attentions of half size."""

    def __init__(self) -> None:
        super().__init__()
        self.lower = 3
        self.q, self.k, self.v = nn.Linear(10, 18), nn.Linear(10, 18), nn.Linear(10, 12)
        self.weight, self.norm = nn.Parameter(torch.randn(2)), nn.RMSNorm(4)

    def mix(self, x: Tensor) -> Tensor:
        """Two maps per head."""
        b, n, _ = x.shape
        q, k = (layer(x).view(b, n, self.heads, 2, self.lower) for layer in (self.q, self.k))
        maps = torch.einsum("bnhcd,bmhcd->bhcnm", q, k).softmax(-1)
        weight = torch.exp((self.weight * self.weight).sum())
        mixed: Tensor = self.norm((maps[:, :, 0] - weight * maps[:, :, 1]) @ self.divided(self.v(x)))
        return mixed


class Learned(Attention):
    """Learned queries, learned extra keys, a convolution over values, keys of fewer positions."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.q, self.k, self.v = nn.Linear(10, 12), nn.Linear(10, 12), nn.Linear(10, 12)
        self.queries, self.extra = nn.Parameter(torch.randn(1, 5, 10)), nn.Parameter(torch.randn(2, 3, 1, 4))
        self.near = nn.Conv1d(12, 12, 3, padding=1, groups=12)
        self.fewer, self.norm = nn.Conv1d(10, 10, 2, 2), nn.LayerNorm(10)

    def mix(self, x: Tensor) -> Tensor:
        """One of them."""
        source, values = x, self.v(x)
        if self.how == "queries":
            q = self.divided(self.q(self.queries)).expand(len(x), -1, -1, -1)
            return attend(q, self.divided(self.k(x)), self.divided(values), scale=0.5)
        if self.how == "fewer":
            source = self.norm(self.fewer(x.transpose(1, 2)).transpose(1, 2))
            values = self.v(source)
        q, k, v = self.divided(self.q(x)), self.divided(self.k(source)), self.divided(values)
        if self.how == "extra":
            more = self.extra[:, None].expand(-1, len(x), -1, -1, -1)
            k, v = torch.cat([k, more[0]], 2), torch.cat([v, more[1]], 2)
        mixed = attend(q, k, v, scale=0.5)
        if self.how == "near":
            mixed = mixed + self.divided(self.near(values.transpose(1, 2)).transpose(1, 2))
        return mixed


class Bottleneck(nn.Module):
    """Attention over the pixels of a feature map, between convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.head_dim = 2, 4
        self.first, self.qkv = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 24, 1)
        self.out, self.head = nn.Conv2d(8, 6, 1), nn.Conv2d(6, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        b, _, h, w = x.shape
        q, k, v = self.qkv(x).chunk(3, 1)
        q, k, v = (part.reshape(b, self.heads, self.head_dim, h * w) for part in (q, k, v))
        weights = torch.einsum("bhdi,bhdj->bhij", q * 0.5, k).softmax(-1)
        mixed = torch.einsum("bhij,bhdj->bhdi", weights, v).reshape(b, -1, h, w)
        out: Tensor = self.head(F.relu(x + self.out(mixed)))
        return out


class Whole(nn.Module):
    """nn.Transformer with another memory and a causal mask."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.target, self.head = nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(8, 4)
        self.transformer = nn.Transformer(8, 2, 1, 1, 9, batch_first=True, dropout=0.0)

    def forward(self, x: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=x.dtype)
        out: Tensor = self.head(self.transformer(self.source(x), self.target(x.flip(1)), tgt_mask=mask))
        return out


def _entries(kind: Callable[[str], nn.Module], prefix: str, hows: dict[str, dict[str, int]]) -> dict[str, Entry]:
    return {
        f"{prefix}_{how}": Entry(build=partial(kind, how), arguments=_IN, axes={"embed": 10, **axes})
        for how, axes in hows.items()
    }


_IN = tokens(LENGTH, 6)
_PACKED = {"qkv:head": 3, "qkv:head_dim": 4}
_APART = {"v:head": 3, "v:head_dim": 4}
_HALVES = {"q:head": 3, "q:head_dim": 2}

ENTRIES = {
    **_entries(
        Packed,
        "packed",
        {
            **dict.fromkeys(("split", "heads_first", "chunks_of_heads", "last"), _PACKED),
            "shared_key": {"qkv:head": 3, "qkv:head_dim": 4},
        },
    ),
    **_entries(Turned, "turned", {"halves": _HALVES, "pairs": _HALVES, "complex": _HALVES, "partly": {"q:head": 3}}),
    **_entries(Learned, "learned", dict.fromkeys(("queries", "extra", "near", "fewer"), _APART)),
    "latent": Entry(build=Latent, arguments=_IN, axes={"embed": 10, "down": 7}),
    "differing": Entry(build=Differing, arguments=_IN, axes={"embed": 10, "q:head": 3}),
    "bottleneck_attention": Entry(build=Bottleneck, arguments=image(3, 4, 4), axes={"first": 6, "qkv:head": 2}),
    "whole_transformer": Entry(
        build=Whole, arguments=_IN, axes={"source": 8, "transformer.encoder.layers.0.linear1": 9}
    ),
}
