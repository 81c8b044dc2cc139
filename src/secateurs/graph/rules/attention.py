"""Scaled dot-product attention in all its variants, as one operator and as the kernels that it picks."""

from collections.abc import Sequence

from torch import Tensor

from secateurs.graph._call import Call
from secateurs.graph._labels import Label
from secateurs.graph._record import Labels
from secateurs.graph.rules._registry import register

_COMPETE = "positions along it compete"


@register(
    "scaled_dot_product_attention",
    "_scaled_dot_product_attention_math",
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
)
def fused(call: Call) -> None:
    """Query [..., H, L, D], key [..., K, S, D], value [..., K, S, V] -> [..., H, L, V]; K divides H.

    Without a given scale the operator divides by sqrt(D): a masked run takes D from the kept positions.
    """
    query, key, value = call.args[:3]
    lead = _tie(call, query, key, value)
    for mask in call.tensors[3:]:
        _tie_mask(call, mask, query, lead)
    depth = call.labels(query)[-1]
    call.contract((0, query.dim() - 1), (1, key.dim() - 1))
    if call.kwargs.get("scale") is None:
        call.mark("inexact", depth, text="attention is scaled by the root of its size")
        kept = call.kept(depth)
        if kept is not None:
            call.kwargs["scale"] = len(kept) ** -0.5
    results = call.out if isinstance(call.out, (tuple, list)) else [call.out]
    labels = [*lead, call.labels(query)[-2], call.labels(value)[-1]]
    tensors = [result for result in results if isinstance(result, Tensor)]
    call.assign(labels, *[_statistics(labels, query, tensor) for tensor in tensors[1:]])


def _statistics(labels: Sequence[Label | None], query: Tensor, tensor: Tensor) -> Sequence[Label | None]:
    """Labels of a per-row statistic [B, H, L]; other by-products have none."""
    if tuple(tensor.shape) == tuple(query.shape[:-1]):
        return [*labels[:-2], None]
    return [None for _ in tensor.shape]


def _tie(call: Call, query: Tensor, key: Tensor, value: Tensor) -> list[Label | None]:
    """Ties the three along the leading dims; the labels of these dims in the result."""
    labels = [call.labels(tensor) for tensor in (query, key, value)]
    lead = [_lead(call, (query, key, value), offset) for offset in range(query.dim(), 2, -1)]
    if lead:
        call.mark("head", lead[-1])
    call.mark("head_dim", labels[0][-1])
    call.mark("head_dim", labels[2][-1])
    for label in (labels[0][-2], labels[1][-2], labels[2][-2]):
        call.fix(label, _COMPETE)
    _count(call, (query, key, value), lead)
    return lead


def _lead(call: Call, tensors: Sequence[Tensor], offset: int) -> Label | None:
    """One leading dim, counted from the end: equal, broadcast, or heads of which several share a key."""
    query, *others = tensors
    size, label = query.shape[-offset], call.labels(query)[-offset]
    for other in others:
        own = call.labels(other)[-offset]
        if other.shape[-offset] == size:
            call.unify(label, own)
            label = own if label is None else label
        elif offset == 3 and other.shape[-3] > 1:
            shared = (other.shape[-3], size // other.shape[-3])
            call.unify(call.algebra.split(label, shared, call.why("heads in groups"))[0], own)
        elif size == 1:
            label = own
    return label


def _tie_mask(call: Call, mask: Tensor, query: Tensor, lead: Sequence[Label | None]) -> None:
    """A mask is broadcast to [..., L, S]."""
    own: Labels = call.labels(mask)
    for offset, label in enumerate(reversed(own), 1):
        if offset < 3:
            call.fix(label, _COMPETE)
        elif mask.shape[-offset] != 1:
            call.unify(label, lead[len(lead) - offset + 2])


def _count(call: Call, tensors: tuple[Tensor, Tensor, Tensor], lead: Sequence[Label | None]) -> None:
    query, key, value = tensors
    sizes = [max(q, k) for q, k in zip(query.shape[:-2], key.shape[:-2], strict=True)]
    common = [*zip(sizes, lead, strict=True), (query.shape[-2], None), (key.shape[-2], None)]
    call.macs([*common, (query.shape[-1], call.labels(query)[-1])], (query, key))
    call.macs([*common, (value.shape[-1], call.labels(value)[-1])], (query, value))
