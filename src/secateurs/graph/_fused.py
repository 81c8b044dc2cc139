"""Scaled dot-product attention on meta tensors, as the CPU runs it.

torch takes one fused operator for the usual calls and a dozen small ones for the others. It chooses by device, and
on meta tensors always takes the small ones: there, the choice is made here.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["fused_attention"]

_FUSED = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default


def fused_attention(given: Mapping[str, Any]) -> Tensor | None:
    """The result of the fused operator; `None` where torch takes the small ones.

    Args:
        given: the arguments of `scaled_dot_product_attention` by name.
    """
    query, key, value = given["query"], given["key"], given["value"]
    mask = given.get("attn_mask")
    if not (_shapes_fit(query, key, value, bool(given.get("enable_gqa"))) and _mask_fits(mask, query, key)):
        return None
    if given.get("dropout_p", 0.0) > 0 or any(tensor.stride(-1) != 1 for tensor in (query, key, value)):
        return None
    if mask is not None and mask.dtype == torch.bool:
        nothing = torch.scalar_tensor(0.0, dtype=query.dtype)
        hidden = torch.scalar_tensor(-float("inf"), dtype=query.dtype)
        mask = torch.where(mask, nothing, hidden)
    options = {"attn_mask": mask, "scale": given.get("scale")}
    options = {name: option for name, option in options.items() if option is not None}
    out: Tensor = _FUSED(query, key, value, 0.0, bool(given.get("is_causal", False)), **options)[0]
    return out


def _shapes_fit(query: Tensor, key: Tensor, value: Tensor, grouped: bool) -> bool:
    if any(tensor.dim() != 4 or not tensor.is_floating_point() or 0 in tensor.shape for tensor in (query, key, value)):
        return False
    if len({tensor.shape[0] for tensor in (query, key, value)}) > 1 or key.shape[1] != value.shape[1]:
        return False
    heads = query.shape[1] % key.shape[1] == 0 if grouped else query.shape[1] == key.shape[1]
    return heads and query.shape[3] == key.shape[3] == value.shape[3]


def _mask_fits(mask: Tensor | None, query: Tensor, key: Tensor) -> bool:
    if mask is None:
        return True
    full = (query.shape[0], query.shape[1], query.shape[2], key.shape[2])
    return mask.dim() in (2, 4) and all(
        own in (1, size) for own, size in zip(mask.shape, full[4 - mask.dim() :], strict=True)
    )
