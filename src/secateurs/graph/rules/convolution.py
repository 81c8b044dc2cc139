"""Convolutions: plain, grouped, depthwise, transposed, in one to three dims."""

from math import prod

from torch import Tensor

from secateurs.graph._call import Call
from secateurs.graph._labels import NO_UNITS, Label
from secateurs.graph.rules._registry import register


@register("convolution")
def convolution(call: Call) -> None:
    """Input [N, C, *spatial], weight [O, C / groups, *kernel], or [C, O / groups, *kernel] where transposed."""
    data, weight, bias = call.args[:3]
    transposed, groups = call.args[6], call.args[8]
    call.read(0, 1)
    call.read(1, 0 if transposed else 1)
    passing = [_passes(call, dim) for dim in range(2, data.dim())]
    for label, passes in zip(call.labels(data)[2:], passing, strict=True):
        if not passes:
            call.fix(label, "a convolution slides along it")
    for label in call.labels(weight)[2:]:
        call.algebra.fix(label, NO_UNITS)
    channels = _transposed(call, data, weight, groups) if transposed else _forward(call, data, weight, groups)
    call.mark("channel", channels, producer=weight)
    if groups == 1:
        call.separate(channels, weight)
    if bias is not None:
        call.unify(call.labels(bias)[0], channels)
    _count(call, data, weight, channels, transposed)
    spatial = [label if passes else None for label, passes in zip(call.labels(data)[2:], passing, strict=True)]
    call.assign([call.labels(data)[0], channels, *spatial])


def _passes(call: Call, dim: int) -> bool:
    """Whether the convolution takes every position of a dim by itself."""
    weight, stride, padding = call.args[1], call.args[3], call.args[4]
    one = stride[(dim - 2) % len(stride)] == 1 and padding[(dim - 2) % len(padding)] == 0
    return bool(one) and weight.shape[dim] == 1


def _forward(call: Call, data: Tensor, weight: Tensor, groups: int) -> Label | None:
    inputs, (outputs, reads) = call.labels(data)[1], call.labels(weight)[:2]
    if groups == 1:
        call.unify(inputs, reads, call.reading(data))
        return outputs
    in_group, in_inner = _grouped(call, inputs, groups, weight.shape[1])
    out_group, _ = _grouped(call, outputs, groups, weight.shape[0] // groups)
    call.unify(in_group, out_group)
    if weight.shape[1] > 1:
        call.unify(in_inner, reads, call.reading(data))
    _count_groups(call, out_group, groups)
    return outputs


def _transposed(call: Call, data: Tensor, weight: Tensor, groups: int) -> Label | None:
    inputs, (reads, outputs) = call.labels(data)[1], call.labels(weight)[:2]
    call.unify(inputs, reads, call.reading(data))
    if groups == 1:
        return outputs
    group, _ = _grouped(call, reads, groups, weight.shape[0] // groups)
    _count_groups(call, group, groups)
    return call.algebra.merge([group, outputs], [groups, weight.shape[1]])


def _grouped(call: Call, label: Label | None, groups: int, inner: int) -> list[Label | None]:
    return call.algebra.split(label, (groups, inner), call.why("divided into groups"))


def _count_groups(call: Call, group: Label | None, groups: int) -> None:
    """Whole groups may go where the code takes their number from an attribute or a tensor."""
    if group is not None:
        call.mark("group", group)
        call.size("groups", group, groups)


def _count(call: Call, data: Tensor, weight: Tensor, channels: Label | None, transposed: bool) -> None:
    """Every output position (transposed: input position) takes the kernel times its input channels."""
    weight_labels = call.labels(weight)
    if transposed:
        outer = (data.shape[1], call.labels(data)[1])
        inner = (weight.shape[1], weight_labels[1])
    else:
        outer = (weight.shape[0], channels)
        inner = (weight.shape[1], weight_labels[1])
    batch = (data.shape[0], call.labels(data)[0])
    read = data if transposed else call.out
    positions = [
        (size, call.labels(data)[dim] if _passes(call, dim) else None) for dim, size in enumerate(read.shape) if dim > 1
    ]
    call.macs([batch, *positions, (prod(weight.shape[2:]), None), outer, inner], (data, weight))
