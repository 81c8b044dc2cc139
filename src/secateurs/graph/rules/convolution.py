"""Convolutions: plain, grouped, depthwise, transposed, in one to three dims."""

from collections.abc import Sequence
from math import prod

from torch import Tensor

from secateurs.graph._call import Call
from secateurs.graph._labels import NO_UNITS, Label
from secateurs.graph.rules._biases import count_bias
from secateurs.graph.rules._registry import register


@register("convolution")
def convolution(call: Call) -> None:
    """Input [N, C, *spatial], weight [O, C / groups, *kernel], or [C, O / groups, *kernel] where transposed."""
    data, weight, bias = call.args[:3]
    transposed, groups = call.args[6], call.args[8]
    call.read(0, 1)
    call.read(1, 0 if transposed else 1)
    spatial = []
    for dim, label in enumerate(call.labels(data)[2:], start=2):
        passes = label is not None and _passes(call, dim)
        spatial.append(label if passes else None)
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
        made = (call.labels(data)[0], channels, *spatial)
        count_bias(call, bias, zip(call.out.shape, made, strict=True))
    _count(call, channels, spatial)
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


def _count(call: Call, channels: Label | None, spatial: Sequence[Label | None]) -> None:
    """Every output position (transposed: input position) takes the kernel times its input channels."""
    (data, weight), transposed = call.args[:2], call.args[6]
    labels, weight_labels = call.labels(data), call.labels(weight)
    outer = (data.shape[1], labels[1]) if transposed else (weight.shape[0], channels)
    positions = zip((data if transposed else call.out).shape[2:], spatial, strict=True)
    kernel = (prod(weight.shape[2:]), None)
    inner = (weight.shape[1], weight_labels[1])
    call.macs([(data.shape[0], labels[0]), *positions, kernel, outer, inner], (data, weight), weight)
