"""What stands between queries and keys: masks, biases, positions, norms, gates and mixtures of heads."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.zoo._entry import Entry, tokens

__all__ = ["ENTRIES"]

LENGTH = 5


class Heads(nn.Module):
    """Three heads of four; subclasses say how queries meet keys."""

    kv_heads = 3

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.head_dim = 3, 4
        self.q, self.k, self.v = nn.Linear(6, 12), nn.Linear(6, 4 * self.kv_heads), nn.Linear(6, 4 * self.kv_heads)
        self.out, self.head = nn.Linear(12, 7), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (layer(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        mixed = self.mix(x, q, k, v).transpose(1, 2)
        out: Tensor = self.head(F.gelu(self.out(mixed.flatten(2))))
        return out

    def mix(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """[B, heads, L, head_dim] each."""
        return F.scaled_dot_product_attention(q, k, v)


class Biased(Heads):
    """A number per head, query and key is added."""

    places: Tensor
    slopes: Tensor

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        distance = torch.arange(LENGTH)[:, None] - torch.arange(LENGTH) + LENGTH - 1
        self.register_buffer("places", distance)
        self.register_buffer("slopes", torch.rand(3))
        self.table = nn.Parameter(torch.randn(3, LENGTH, LENGTH))
        self.rows, self.buckets = nn.Parameter(torch.randn(2 * LENGTH - 1, 3)), nn.Embedding(2 * LENGTH - 1, 3)
        self.net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3, bias=False))

    def bias(self, x: Tensor) -> Any:
        n = x.shape[1]
        if self.how == "table":
            return self.table
        if self.how == "rows":
            return self.rows[self.places.view(-1)].view(n, n, -1).permute(2, 0, 1).contiguous().unsqueeze(0)
        if self.how == "buckets":
            return self.buckets(self.places).permute(2, 0, 1)[None]
        if self.how == "net":
            offsets = torch.stack([self.places, -self.places], -1).to(x.dtype)
            return self.net(offsets).permute(2, 0, 1).sigmoid() * 16
        return -self.slopes[:, None, None] * self.places.abs().to(x.dtype)

    def mix(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Fused or by hand."""
        if self.how in ("table", "rows"):
            return F.scaled_dot_product_attention(q, k, v, attn_mask=self.bias(x))
        logits: Tensor = q @ k.mT + self.bias(x)
        return logits.softmax(-1) @ v


class Hidden(Heads):
    """Keys that are not seen: for all, for each sequence, for each head."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.gate = how, nn.Linear(6, 3)

    def mix(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Boolean or additive masks."""
        causal = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril()
        if self.how == "boolean":
            return F.scaled_dot_product_attention(q, k, v, causal)
        if self.how == "sequence":
            return F.scaled_dot_product_attention(q, k, v, causal.expand(x.shape[0], 1, -1, -1))
        if self.how == "additive":
            mask = torch.zeros(1, 1, x.shape[1], x.shape[1], dtype=x.dtype).masked_fill(~causal, float("-inf"))
            return F.scaled_dot_product_attention(q, k, v, mask, scale=0.3)
        own = self.gate(x).transpose(1, 2)[:, :, None]
        if self.how == "filled":
            logits = (q @ k.mT).masked_fill(own.expand(-1, -1, x.shape[1], -1) > 0, -4.0)
            return logits.softmax(-1) @ v
        return F.scaled_dot_product_attention(q, k, v, own)


class Normed(Heads):
    """Queries and keys are normalised, heads have temperatures."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.q_norm: nn.Module = nn.RMSNorm(4) if how == "rms" else nn.LayerNorm(4)
        self.k_norm: nn.Module = nn.RMSNorm(4) if how == "rms" else nn.LayerNorm(4)
        self.temperature = nn.Parameter(torch.randn(3, 1, 1))

    def mix(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Over each head's own size."""
        if self.how == "cosine":
            logits = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
            return (logits * self.temperature.clamp(max=4.6).exp()).softmax(-1) @ v
        if self.how == "distance":
            return (-torch.cdist(q, k) * self.temperature).softmax(-1) @ v
        return F.scaled_dot_product_attention(self.q_norm(q), self.k_norm(k), v, scale=0.5)


class Mixed(Heads):
    """Heads see each other, or have gates, sinks and weights of their own."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.before, self.after = nn.Linear(3, 3), nn.Conv2d(3, 3, 1, bias=False)
        self.gate, self.sinks = nn.Linear(6, 3), nn.Parameter(torch.randn(3))
        self.norm, self.mixing = nn.RMSNorm(4), nn.Parameter(torch.randn(3, 3))

    def mix(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """By hand."""
        logits = q @ k.mT
        if self.how == "linear":
            logits = self.before(logits.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            after: Tensor = self.after(logits.softmax(-1))
            return after @ v
        if self.how == "einsum":
            return torch.einsum("hg,bhqk,bgkd->bhqd", self.mixing, logits.softmax(-1), v)
        if self.how == "sinks":
            b, _, n, _ = logits.shape
            sinks = self.sinks.reshape(1, -1, 1, 1).expand(b, -1, n, -1)
            return torch.cat([logits, sinks], -1).softmax(-1)[..., :-1] @ v
        if self.how == "stable_sinks":
            shifted = logits - logits.amax(-1, keepdim=True)
            total = shifted.exp().sum(-1, keepdim=True) + self.sinks.exp()[:, None, None]
            return (shifted.exp() / total) @ v
        mixed: Tensor = logits.softmax(-1) @ v
        gate: Tensor = self.gate(x).sigmoid().transpose(1, 2)
        if self.how == "headwise_norm":
            mixed = self.norm(mixed)
        return mixed * gate[..., None]


class Channels(Heads):
    """Attention whose positions are channels, and attention without a softmax over keys."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def mix(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """By hand."""
        if self.how == "channels":
            q, k = F.normalize(q, dim=-2), F.normalize(k, dim=-2)
            return ((q.mT @ k).softmax(-1) @ v.mT).mT
        if self.how == "context":
            return q.softmax(-1) @ (k.softmax(-2).mT @ v)
        q, k = F.elu(q) + 1, F.elu(k) + 1
        if self.how == "recurrent":
            state = torch.einsum("bhnd,bhne->bhnde", k, v).cumsum(2)
            return torch.einsum("bhnd,bhnde->bhne", q, state)
        total = torch.einsum("bhnd,bhd->bhn", q, k.sum(2))
        return torch.einsum("bhnd,bhde,bhn->bhne", q, torch.einsum("bhnd,bhne->bhde", k, v), 1 / total)


class OneKey(Heads):
    """All queries share one key and one value head."""

    kv_heads = 1

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def mix(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Broadcast, repeated, or given to the operator as it is."""
        if self.how == "expand":
            k, v = k.expand(-1, self.heads, -1, -1), v.expand(-1, self.heads, -1, -1)
        if self.how == "einsum":
            weights = torch.einsum("bhqd,bkd->bhqk", q, k[:, 0]).softmax(-1)
            return torch.einsum("bhqk,bkd->bhqd", weights, v[:, 0])
        if self.how == "matmul":
            return (q @ k.mT).softmax(-1) @ v
        return F.scaled_dot_product_attention(q, k, v, enable_gqa=self.how == "native")


class Flat(Heads):
    """Heads are part of the batch, or there is one only."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def mix(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """[B * heads, L, head_dim] each."""
        b, _, n, d = q.shape
        flat = [part.reshape(b * self.heads, n, -1) for part in (q * 0.5, k, v)]
        if self.how == "fused":
            mixed = F.scaled_dot_product_attention(flat[0], flat[1], flat[2], scale=1.0)
        elif self.how == "biased":
            mask = torch.zeros(1, n, n, dtype=q.dtype).expand(b * self.heads, -1, -1)
            mixed = torch.baddbmm(mask, flat[0], flat[1].transpose(1, 2)).softmax(-1).bmm(flat[2])
        else:
            weights = torch.bmm(flat[0], flat[1].transpose(1, 2)).view(b, self.heads, n, n).softmax(-1)
            mixed = torch.bmm(weights.view(b * self.heads, n, n), flat[2])
        return mixed.view(b, self.heads, n, d)


def _entries(kind: Callable[[str], nn.Module], prefix: str, hows: tuple[str, ...], **facts: Any) -> dict[str, Entry]:
    facts = {"axes": _FREE, **facts}
    return {f"{prefix}_{how}": Entry(build=partial(kind, how), arguments=_IN, **facts) for how in hows}


_IN = tokens(LENGTH, 6)
_COMPETING, _COMPETE = {"q": 3, "out": 7}, (r"q\.weight\[0\]: in one factor, positions along it compete",)
_FREE = {"q:head": 3, "q:head_dim": 4, "out": 7}

ENTRIES = {
    **_entries(Biased, "bias", ("table", "rows", "buckets", "net", "slopes")),
    **_entries(Hidden, "mask", ("boolean", "sequence", "additive", "filled", "heads")),
    **_entries(Normed, "heads_normed", ("rms", "layer", "cosine", "distance")),
    **_entries(Mixed, "heads_mixed", ("linear", "einsum", "sinks", "stable_sinks", "gated", "headwise_norm")),
    **_entries(Channels, "attention_over", ("channels", "context"), axes=_COMPETING, fixed=_COMPETE),
    **_entries(Channels, "attention_over", ("sums", "recurrent"), zeroing="features of dead units are not zero"),
    **_entries(OneKey, "one_key", ("expand", "matmul", "native")),
    **_entries(OneKey, "one_key", ("einsum",), axes={"q:head": 3, "q:hidden": 4, "out": 7}),
    **_entries(Flat, "flat_heads", ("fused", "bmm")),
    **_entries(Flat, "flat_heads", ("biased",), other_batch=None),
}
