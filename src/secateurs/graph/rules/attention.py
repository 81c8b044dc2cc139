"""Fused scaled dot-product attention in all its variants."""

from collections.abc import Sequence

from torch import Tensor

from secateurs.graph._call import Call
from secateurs.graph._labels import Label
from secateurs.graph._record import Labels
from secateurs.graph.rules._registry import register


@register(
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
)
def fused(call: Call) -> None:
    """Query [B, H, L, D], key [B, K, S, D], value [B, K, S, V] -> [B, H, L, V]; K divides H.

    Without a given scale the operator divides by sqrt(D): a masked run takes D from the kept positions.
    """
    query, key, value = call.args[:3]
    _tie(call, query, key, value)
    depth = call.labels(query)[3]
    call.contract((0, 3), (1, 3))
    if call.kwargs.get("scale") is None:
        call.mark("inexact", depth, text="attention is scaled by the root of its size")
        kept = call.kept(depth)
        if kept is not None:
            call.kwargs["scale"] = len(kept) ** -0.5
    labels = call.labels(query)
    out = [*labels[:3], call.labels(value)[3]]
    results = call.out if isinstance(call.out, (tuple, list)) else [call.out]
    tensors = [result for result in results if isinstance(result, Tensor)]
    call.assign(out, *[_statistics(labels, query, tensor) for tensor in tensors[1:]])


def _statistics(labels: Labels, query: Tensor, tensor: Tensor) -> Sequence[Label | None]:
    """Labels of a per-row statistic [B, H, L]; other by-products have none."""
    if tuple(tensor.shape) == tuple(query.shape[:3]):
        return [labels[0], labels[1], None]
    return [None for _ in tensor.shape]


def _tie(call: Call, query: Tensor, key: Tensor, value: Tensor) -> None:
    labels = [call.labels(tensor) for tensor in (query, key, value)]
    heads = [labels[0][1], None]
    if query.shape[1] != key.shape[1]:
        sizes = (key.shape[1], query.shape[1] // key.shape[1])
        heads = call.algebra.split(labels[0][1], sizes, call.why("heads in groups"))
    for own, dim in ((labels[0][0], 0), (heads[0], 1)):
        if key.shape[dim] != 1:
            call.unify(own, labels[1][dim])
            call.unify(own, labels[2][dim])
    for mask in call.tensors[3:]:
        _tie_mask(call, mask, query)
    call.mark("head", labels[0][1])
    call.mark("head_dim", labels[0][3])
    call.mark("head_dim", labels[2][3])
    for label in (labels[0][2], labels[1][2], labels[2][2]):
        call.fix(label, "positions along it compete")
    common = [(query.shape[dim], labels[0][dim]) for dim in (0, 1, 2)] + [(key.shape[2], None)]
    call.macs([*common, (query.shape[3], labels[0][3])], (query, key))
    call.macs([*common, (value.shape[3], labels[2][3])], (query, value))


def _tie_mask(call: Call, mask: Tensor, query: Tensor) -> None:
    """A mask is broadcast to [B, H, L, S]."""
    for offset, label in enumerate(reversed(call.labels(mask))):
        dim = 3 - offset
        if dim > 1:
            call.fix(label, "positions along it compete")
        elif mask.shape[-1 - offset] == query.shape[dim] != 1:
            call.unify(label, call.labels(query)[dim])
