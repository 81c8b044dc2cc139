"""Attention: torch's own modules, and the ways people write it by hand."""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.zoo._entry import Entry, image, tokens

__all__ = ["ENTRIES"]


class Encoder(nn.Module):
    """torch's encoder layers, pooled and classified."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(12, 3, dim_feedforward=10, dropout=0.1, **options)
        self.layers, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(12, 4)
        self.embed, self.time = nn.Linear(6, 12), 1 if options.get("batch_first") else 0

    def forward(self, x: Tensor) -> Tensor:
        if self.time == 0:
            x = x.transpose(0, 1)
        out: Tensor = self.head(self.layers(self.embed(x)).mean(self.time))
        return out


class DecoderLayer(nn.Module):
    """torch's decoder layer: self and cross attention."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.memory = nn.Linear(6, 8), nn.Linear(6, 8)
        self.layer = nn.TransformerDecoderLayer(8, 2, dim_feedforward=9, batch_first=True, activation="gelu")
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=x.dtype)
        out: Tensor = self.head(self.layer(self.embed(x), self.memory(x.flip(1)), tgt_mask=mask))
        return out


class Multihead(nn.Module):
    """nn.MultiheadAttention of every make."""

    def __init__(self, call: dict[str, Any], *, cross: bool = False, **options: Any) -> None:
        super().__init__()
        self.call, self.cross = call, cross
        width = options.get("kdim", 12)
        self.query, self.key = nn.Linear(6, 12), nn.Linear(6, width)
        self.value = nn.Linear(6, options.get("vdim", 12))
        self.attention, self.head = nn.MultiheadAttention(12, 3, batch_first=True, **options), nn.Linear(12, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        query = self.query(x)
        key, value = (self.key(x[:, :-1]), self.value(x[:, :-1])) if self.cross else (query, query)
        mixed, weights = self.attention(query, key, value, **self.call)
        out: Tensor = self.head(mixed)
        return (out,) if weights is None else (out, weights)


class Masked(nn.Module):
    """Padding and attention masks, boolean and additive."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.one = nn.Linear(6, 8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.two, self.head = nn.MultiheadAttention(8, 4, batch_first=True), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        length = x.shape[1]
        hidden = torch.zeros(x.shape[0], length, dtype=torch.bool)
        hidden[:, -1] = True
        causal = torch.ones(length, length, dtype=torch.bool).triu(1)
        x = x + self.one(x, x, x, key_padding_mask=hidden, attn_mask=causal, need_weights=False)[0]
        heads = x.new_zeros(x.shape[0] * 4, length, length).masked_fill(causal, -1.0)
        x = x + self.two(x, x, x, attn_mask=heads.tril(), need_weights=False)[0]
        out: Tensor = self.head(x)
        return out


class Fused(nn.Module):
    """One weight for query, key and value, viewed apart; sizes are attributes."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.heads, self.head_dim, self.scale = how, 3, 4, 0.5
        self.embed, self.qkv, self.proj, self.head = (
            nn.Linear(6, 10),
            nn.Linear(10, 36),
            nn.Linear(12, 10),
            nn.Linear(10, 4),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        b, n, _ = x.shape
        if self.how == "chunk":
            q, k, v = (
                part.view(b, n, self.heads, self.head_dim).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1)
            )
        else:
            q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, self.head_dim).permute(2, 0, 3, 1, 4).unbind(0)
        if self.how == "fused":
            mixed = F.scaled_dot_product_attention(q, k, v)
        elif self.how == "einsum":
            mixed = torch.einsum("bhqk,bhkd->bhqd", (torch.einsum("bhqd,bhkd->bhqk", q, k) * self.scale).softmax(-1), v)
        else:
            mixed = ((q @ k.transpose(-2, -1)) * self.scale).softmax(-1) @ v
        x = x + self.proj(mixed.transpose(1, 2).reshape(b, n, self.heads * self.head_dim))
        out: Tensor = self.head(x)
        return out


class FromWidth(nn.Module):
    """The width of the stream says the head size: C // heads, and the scale is written by it."""

    def __init__(self, *, scaled: bool) -> None:
        super().__init__()
        self.heads, self.scaled = 3, scaled
        self.embed, self.qkv = nn.Linear(6, 12), nn.Linear(12, 36, bias=False)
        self.proj, self.head = nn.Linear(12, 12), nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        scale = q.shape[-1] ** -0.5 if self.scaled else 0.5
        mixed = ((q @ k.transpose(-2, -1)) * scale).softmax(-1) @ v
        x = x + self.proj(mixed.transpose(1, 2).reshape(b, n, c))
        out: Tensor = self.head(x)
        return out


class Separate(nn.Module):
    """Query, key and value apart, the value of another size, head counts from attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.key_dim, self.value_dim = 2, 5, 3
        self.q, self.k, self.v = nn.Linear(6, 10), nn.Linear(6, 10), nn.Linear(6, 6)
        self.out, self.head = nn.Linear(6, 7), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        q = self.q(x).unflatten(-1, (self.heads, self.key_dim)).transpose(1, 2)
        k = self.k(x).unflatten(-1, (self.heads, self.key_dim)).permute(0, 2, 3, 1)
        v = self.v(x).unflatten(-1, (self.heads, self.value_dim)).transpose(1, 2)
        mixed = torch.matmul(torch.softmax(torch.matmul(q, k), -1), v)
        out: Tensor = self.head(F.gelu(self.out(mixed.transpose(1, 2).flatten(2))))
        return out


class GroupedQuery(nn.Module):
    """Fewer key and value heads than query heads."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.heads, self.kv_heads, self.head_dim, self.groups = how, 6, 3, 4, 2
        self.q, self.k, self.v = nn.Linear(6, 24), nn.Linear(6, 12), nn.Linear(6, 12)
        self.out, self.head = nn.Linear(24, 7), nn.Linear(7, 4)

    def widen(self, x: Tensor) -> Tensor:
        b, heads, n, d = x.shape
        if self.how == "repeat":
            return x.repeat_interleave(self.groups, 1)
        return x[:, :, None].expand(b, heads, self.groups, n, d).reshape(b, heads * self.groups, n, d)

    def forward(self, x: Tensor) -> Tensor:
        b, n, _ = x.shape
        q = self.q(x).view(b, n, self.heads, self.head_dim).transpose(1, 2)
        k = self.k(x).view(b, n, self.kv_heads, self.head_dim).transpose(1, 2)
        v = self.v(x).view(b, n, self.kv_heads, self.head_dim).transpose(1, 2)
        if self.how == "native":
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        else:
            mixed = F.scaled_dot_product_attention(q, self.widen(k), self.widen(v), is_causal=True)
        out: Tensor = self.head(F.gelu(self.out(mixed.transpose(1, 2).reshape(b, n, -1))))
        return out


class Rotary(nn.Module):
    """Rotary positions: halves of every head are turned by cached tables."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.head_dim = 3, 4
        self.q, self.k, self.v = nn.Linear(6, 12), nn.Linear(6, 12), nn.Linear(6, 12)
        self.out, self.head = nn.Linear(12, 7), nn.Linear(7, 4)
        self.register_buffer("frequencies", torch.tensor([1.0, 0.1]), persistent=False)

    def turn(self, x: Tensor) -> Tensor:
        angles = torch.arange(x.shape[2], dtype=x.dtype)[:, None] * self.get_buffer("frequencies")
        angles = torch.cat([angles, angles], -1)
        half = x.shape[-1] // 2
        turned = torch.cat([-x[..., half:], x[..., :half]], -1)
        return x * angles.cos() + turned * angles.sin()

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2) for layer in (self.q, self.k, self.v)
        )
        mixed = F.scaled_dot_product_attention(self.turn(q), self.turn(k), v)
        out: Tensor = self.head(F.gelu(self.out(mixed.transpose(1, 2).flatten(2))))
        return out


class ClassToken(nn.Module):
    """Patches, a class token, learned positions: a tiny vision transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.token = nn.Conv2d(3, 12, 4, stride=4), nn.Parameter(torch.zeros(1, 1, 12))
        self.places, self.norm = nn.Parameter(torch.zeros(1, 5, 12)), nn.LayerNorm(12)
        self.block = nn.TransformerEncoderLayer(12, 2, 9, batch_first=True, norm_first=True, activation="gelu")
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        out: Tensor = self.head(self.norm(self.block(x))[:, 0])
        return out


_IN = tokens(5, 6)
_HERE = (r"qkv\.weight\[0\].*attending\.py:\d+",)
_WEIGHTS = {"need_weights": True}
_ENCODER = {
    "embed": 12,
    "layers.layers.0.self_attn.in_proj:head": 3,
    "layers.layers.0.self_attn.in_proj:head_dim.1": 4,
    "layers.layers.0.self_attn.in_proj:head_dim.2": 4,
    "layers.layers.1.linear1": 10,
}
_SELF = {"query": 12, "attention.in_proj:head": 3, "attention.in_proj:head_dim.1": 4, "attention.out_proj": 12}
_GROUPED = {"q:head.1": 3, "q:head.2": 2, "q:head_dim": 4, "out": 7}

ENTRIES = {
    "encoder": Entry(build=Encoder, arguments=_IN, axes=_ENCODER),
    "encoder_batch_first": Entry(
        build=lambda: Encoder(batch_first=True, activation="gelu"), arguments=_IN, axes=_ENCODER
    ),
    "encoder_norm_first": Entry(build=lambda: Encoder(batch_first=True, norm_first=True), arguments=_IN, axes=_ENCODER),
    "encoder_no_bias": Entry(build=lambda: Encoder(batch_first=True, bias=False), arguments=_IN, axes=_ENCODER),
    "decoder": Entry(build=DecoderLayer, arguments=_IN, axes={"embed": 8, "layer.multihead_attn.in_proj:head": 2}),
    "multihead_self": Entry(build=lambda: Multihead({"need_weights": False}), arguments=_IN, axes=_SELF),
    "multihead_weights": Entry(build=lambda: Multihead(_WEIGHTS), arguments=_IN, axes=_SELF),
    "multihead_all_weights": Entry(
        build=lambda: Multihead({"average_attn_weights": False}), arguments=_IN, axes={"query": 12}
    ),
    "multihead_cross": Entry(build=lambda: Multihead(_WEIGHTS, cross=True), arguments=_IN, axes=_SELF),
    "multihead_sizes": Entry(
        build=lambda: Multihead(_WEIGHTS, cross=True, kdim=7, vdim=5),
        arguments=_IN,
        axes={"query": 12, "key": 7, "value": 5, "attention.v_proj": 4},
    ),
    "multihead_bias_kv": Entry(build=lambda: Multihead(_WEIGHTS, add_bias_kv=True), arguments=_IN, axes=_SELF),
    "multihead_zero_kv": Entry(
        build=lambda: Multihead({"need_weights": False}, add_zero_attn=True, bias=False), arguments=_IN, axes=_SELF
    ),
    "multihead_masks": Entry(build=Masked, arguments=_IN, axes={"embed": 8, "one.in_proj:head": 2}),
    **{
        f"attention_{how}": Entry(
            build=partial(Fused, how), arguments=_IN, axes={"embed": 10, "qkv:head": 3, "qkv:head_dim": 4}
        )
        for how in ("matmul", "fused", "einsum", "chunk")
    },
    "attention_from_width": Entry(build=lambda: FromWidth(scaled=False), arguments=_IN, fixed=_HERE),
    "attention_scaled_by_width": Entry(build=lambda: FromWidth(scaled=True), arguments=_IN, fixed=_HERE),
    "attention_separate": Entry(build=Separate, arguments=_IN, axes={"q:head": 2, "q:head_dim": 5, "v": 3, "out": 7}),
    "grouped_query_repeat": Entry(build=lambda: GroupedQuery("repeat"), arguments=_IN, axes=_GROUPED),
    "grouped_query_expand": Entry(build=lambda: GroupedQuery("expand"), arguments=_IN, axes=_GROUPED),
    "grouped_query_native": Entry(build=lambda: GroupedQuery("native"), arguments=_IN, axes=_GROUPED),
    "rotary": Entry(build=Rotary, arguments=_IN, axes={"q:head": 3, "q:head_dim": 2, "out": 7}),
    "class_token": Entry(build=ClassToken, arguments=image(3, 8, 8), axes={"patch": 12, "block.linear1": 9}),
}
