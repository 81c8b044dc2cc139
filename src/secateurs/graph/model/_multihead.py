"""`nn.MultiheadAttention` with free inner sizes.

The original computes its head size as width // heads and hides its views inside one function, so nothing in it can
be cut alone. This equivalent has the same parameters under the same names and keeps its three inner sizes as
attributes: heads, query/key size and value size per head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["FreeMultiheadAttention"]


_PARAMETERS = (
    "in_proj_weight",
    "q_proj_weight",
    "k_proj_weight",
    "v_proj_weight",
    "in_proj_bias",
    "bias_k",
    "bias_v",
)


class FreeMultiheadAttention(nn.Module):
    """Multi-head attention (Vaswani et al., 2017) whose heads and head sizes are independent of its width.

    Args:
        source: the module to take over; its parameters are shared, not copied.

    Called like `nn.MultiheadAttention`, with the same result: (output, weights or None).
    """

    in_proj_weight: nn.Parameter | None
    q_proj_weight: nn.Parameter | None
    k_proj_weight: nn.Parameter | None
    v_proj_weight: nn.Parameter | None
    in_proj_bias: nn.Parameter | None
    bias_k: nn.Parameter | None
    bias_v: nn.Parameter | None

    def __init__(self, source: nn.MultiheadAttention) -> None:
        super().__init__()
        for name in _PARAMETERS:
            self.register_parameter(name, getattr(source, name))
        self.out_proj = source.out_proj
        self.embed_dim, self.num_heads = source.embed_dim, source.num_heads
        self.query_size = self.value_size = source.head_dim
        self.scale = source.head_dim**-0.5
        self.dropout, self.batch_first = source.dropout, source.batch_first
        self.add_zero_attn = source.add_zero_attn
        # False keeps nn.TransformerEncoderLayer off its fused path, which assumes the original's sizes.
        self._qkv_same_embed_dim = False
        self.training = source.training

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend; shapes as in `nn.MultiheadAttention`: [L, B, E], [B, L, E] if `batch_first`, or [L, E]."""
        batched = query.dim() == 3
        q, k, v = self._project(query, key, value)
        if not batched:
            q, k, v = q.unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0)
        elif not self.batch_first:
            q, k, v = q.transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1)
        k, v, added = self._extend(k, v)
        q = q.unflatten(-1, (self.num_heads, self.query_size)).transpose(1, 2)
        k = k.unflatten(-1, (self.num_heads, self.query_size)).transpose(1, 2)
        v = v.unflatten(-1, (self.num_heads, self.value_size)).transpose(1, 2)
        mask = self._mask(q, key_padding_mask, attn_mask, added, k.shape[-2] if is_causal and attn_mask is None else 0)
        mixed, weights = self._attend(q, k, v, mask, need_weights)
        out = self.out_proj(mixed.transpose(1, 2).flatten(2))
        if weights is not None and average_attn_weights:
            weights = weights.mean(1)
        if not batched:
            return out.squeeze(0), None if weights is None else weights.squeeze(0)
        return out if self.batch_first else out.transpose(0, 1), weights

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        inner = [self.num_heads * self.query_size, self.num_heads * self.query_size, self.num_heads * self.value_size]
        biases: list[Tensor | None] = [None, None, None]
        if self.in_proj_bias is not None:
            biases = list(self.in_proj_bias.split(inner))
        if self.in_proj_weight is None:
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        elif query is key is value:
            q, k, v = F.linear(query, self.in_proj_weight, self.in_proj_bias).split(inner, -1)
            return q, k, v
        else:
            weights = list(self.in_proj_weight.split(inner))
        inputs = (query, key, value)
        q, k, v = (F.linear(x, w, b) for x, w, b in zip(inputs, weights, biases, strict=True))  # type: ignore[arg-type]
        return q, k, v

    def _extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, int]:
        """The learned and the zero position after the keys and values [B, S, inner]; how many were added."""
        added = 0
        if self.bias_k is not None and self.bias_v is not None:
            k = torch.cat([k, self.bias_k.expand(k.shape[0], -1, -1)], 1)
            v = torch.cat([v, self.bias_v.expand(v.shape[0], -1, -1)], 1)
            added += 1
        if self.add_zero_attn:
            k, v = F.pad(k, (0, 0, 0, 1)), F.pad(v, (0, 0, 0, 1))
            added += 1
        return k, v, added

    def _mask(self, q: Tensor, padding: Tensor | None, mask: Tensor | None, added: int, causal: int) -> Tensor | None:
        """One additive mask, broadcast to [B, heads, L, S], from all that were given."""
        total: Tensor | None = None
        if causal:
            mask = torch.ones(q.shape[-2], causal - added, dtype=torch.bool, device=q.device).triu(1)
        if mask is not None:
            mask = _additive(mask, q.dtype)
            total = mask.unflatten(0, (q.shape[0], -1)) if mask.dim() == 3 else mask
        if padding is not None:
            rows = _additive(padding, q.dtype)
            rows = rows.reshape(-1, 1, 1, rows.shape[-1])
            total = rows if total is None else total + rows
        return None if total is None else F.pad(total, (0, added))

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        dropout = self.dropout if self.training else 0.0
        if not need_weights:
            return F.scaled_dot_product_attention(q, k, v, mask, dropout, scale=self.scale), None
        logits = (q * self.scale) @ k.transpose(-2, -1)
        weights = F.dropout((logits if mask is None else logits + mask).softmax(-1), dropout)
        return weights @ v, weights


def _additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A boolean mask (True = hidden) as numbers to add."""
    if mask.dtype != torch.bool:
        return mask.to(dtype)
    return torch.zeros_like(mask, dtype=dtype).masked_fill(mask, float("-inf"))
