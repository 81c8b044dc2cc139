"""Normalisations: over the batch, over the last dims, over groups of channels."""

import torch

from secateurs.graph._activations import from_data
from secateurs.graph._call import Call
from secateurs.graph._labels import Label
from secateurs.graph.rules._registry import register


@register(
    "native_batch_norm",
    "_native_batch_norm_legit",
    "_native_batch_norm_legit_no_training",
    "_batch_norm_with_update",
    "_batch_norm_no_update",
    "cudnn_batch_norm",
    "miopen_batch_norm",
)
def batch_norm(call: Call) -> None:
    """Input [N, C, ...]; every other tensor is per channel."""
    call.uncounted()
    data = call.args[0]
    labels = call.labels(data)
    channels = labels[1]
    call.unify_all([call.labels(tensor)[0] for tensor in call.tensors[1:]], channels)
    call.separate(channels)
    if from_data(call.func, call.args):
        dims = [dim for dim in range(data.dim()) if dim != 1]
        for dim in dims:
            call.mark("inexact", labels[dim], text="normalised over")
        if any(call.kept(labels[dim]) is not None for dim in dims):
            out, *statistics = call.func(call.gather(data, dims), *call.args[1:])
            call.put((call.scatter(out, data, dims), *statistics))
    results = [result for result in call.out if isinstance(result, torch.Tensor)]
    per_channel = [
        [channels] if len(result) == data.shape[1] else [None] for result in results[1:] if result.dim() == 1
    ]
    call.assign(labels, *per_channel)


@register("native_layer_norm")
def layer_norm(call: Call) -> None:
    """Statistics over the last dims: a masked run takes them over the kept positions only."""
    call.uncounted()
    data, shape, weight, bias, eps = call.args
    labels, first = call.labels(data), data.dim() - len(shape)
    dims = list(range(first, data.dim()))
    for offset, dim in enumerate(dims):
        for tensor in (weight, bias):
            if tensor is not None and data.shape[dim] != 1:
                call.unify(call.labels(tensor)[offset], labels[dim])
        call.mark("inexact", labels[dim], text="normalised over")
        call.size(f"normalized_shape[{offset}]", labels[dim], shape[offset])
    if any(call.kept(labels[dim]) is not None for dim in dims):
        values = call.gather(data, dims)
        affine = [None if t is None else call.gather(t, range(len(shape))) for t in (weight, bias)]
        out, mean, scale = call.func(values, list(values.shape[first:]), *affine, eps)
        call.put((call.scatter(out, data, dims), mean, scale))
    statistics = [*labels[:first], *[None for _ in shape]]
    call.assign(labels, statistics, statistics)


@register("native_group_norm")
def group_norm(call: Call) -> None:
    """Channels are divided into groups, each normalised alone: whole groups, or the same places of every group, go."""
    call.uncounted()
    data, weight, bias, _, channels, _, groups, eps = call.args
    labels = call.labels(data)
    for tensor in (weight, bias):
        if tensor is not None:
            call.unify(call.labels(tensor)[0], labels[1])
    for label in labels[2:]:
        call.fix(label, "normalised over")
    group, inner = call.algebra.split(labels[1], (groups, channels // groups), call.why("divided into groups"))
    call.mark("inexact", inner, text="normalised over")
    if group is not None:
        call.mark("group", group)
        call.size("num_groups", group, groups)
    if call.kept(labels[1]) is not None:
        _kept_groups(call, group, groups, eps)
    statistics = [labels[0], group if groups > 1 else None]
    call.assign(labels, statistics, statistics)


def _kept_groups(call: Call, group: Label | None, groups: int, eps: float) -> None:
    data, weight, bias = call.args[:3]
    kept = call.kept(group)
    values = call.gather(data, [1])
    affine = [None if t is None else call.gather(t, [0]) for t in (weight, bias)]
    n, c = values.shape[:2]
    left = groups if kept is None else len(kept)
    out, mean, scale = call.func(values.contiguous(), *affine, n, c, values[0, 0].numel(), left, eps)
    call.put((call.scatter(out, data, [1]), _widen(mean, kept, groups), _widen(scale, kept, groups)))


def _widen(statistic: torch.Tensor, kept: torch.Tensor | None, groups: int) -> torch.Tensor:
    if kept is None:
        return statistic
    return statistic.new_zeros(statistic.shape[0], groups).index_copy_(1, kept.to(statistic.device), statistic)


@register("_weight_norm_interface", "_weight_norm")
def weight_norm(call: Call) -> None:
    """Direction v and length g along one dim: the norm is taken over all other dims of v, kept positions only."""
    call.uncounted()
    direction, length = call.args[:2]
    own = call.argument(2, "dim", 0) % direction.dim()
    labels = call.labels(direction)
    call.unify(call.labels(length)[own], labels[own])
    others = [dim for dim in range(direction.dim()) if dim != own]
    for dim in others:
        call.mark("inexact", labels[dim], text="normalised over")
    if any(call.kept(labels[dim]) is not None for dim in others):
        weight, norms = call.func(call.gather(direction, others), length, own)
        call.put((call.scatter(weight, direction, others), norms))
    call.assign(labels, [labels[own] if size == direction.shape[own] else None for size in call.out[1].shape])
