"""Positions that change places: flips, rotations, shuffles between channels and space."""

import numpy as np

from secateurs.graph._call import Call
from secateurs.graph._labels import Label
from secateurs.graph.rules._registry import register


@register("flip")
def flip(call: Call) -> None:
    """Positions in reverse order."""
    data, dims = call.args[:2]
    flipped = {dim % data.dim() for dim in dims}
    labels = enumerate(call.labels(data))
    call.assign([label[::-1] if label is not None and dim in flipped else label for dim, label in labels])


@register("roll")
def roll(call: Call) -> None:
    """Positions move on, the last ones come first: how many those are must be what the code says.

    Rolled by s, a dim that lost some of its other positions gives the rolled dim without them, for the same last s
    positions wrap around.
    """
    data, shifts = call.args[:2]
    dims = call.argument(2, "dims", ())
    labels = list(call.labels(data))
    if len(dims) != len(shifts):
        for label in labels:
            call.fix(label, "rolled through all dims")
        call.assign([None for _ in labels])
        return
    for place, (shift, dim) in enumerate(zip(shifts, dims, strict=True)):
        labels[dim] = _rolled(call, labels[dim], int(shift), f"shifts[{place}]")
    call.assign(labels)


def _rolled(call: Call, label: Label | None, shift: int, name: str) -> Label | None:
    if label is None or shift == 0:
        return label
    if abs(shift) >= len(label):
        call.fix(label, "rolled by more than its size")
    else:
        call.size(name, label[-shift:] if shift > 0 else label[:-shift], abs(shift))
    return np.roll(label, shift, axis=0)


@register("rot90")
def rotate(call: Call) -> None:
    """Two dims turned by quarters."""
    data, quarters = call.args[0], call.argument(1, "k", 1) % 4
    first, second = (dim % data.dim() for dim in call.argument(2, "dims", (0, 1)))
    labels = list(call.labels(data))
    if quarters == 1:
        labels[second] = _reversed(labels[second])
    if quarters % 2:
        labels[first], labels[second] = labels[second], labels[first]
    if quarters == 2:
        labels[first] = _reversed(labels[first])
    if quarters >= 2:
        labels[second] = _reversed(labels[second])
    call.assign(labels)


def _reversed(label: Label | None) -> Label | None:
    return None if label is None else label[::-1]


@register("pixel_shuffle")
def pixel_shuffle(call: Call) -> None:
    """[..., C r r, H, W] to [..., C, H r, W r]: a channel's r x r parts stay together."""
    data, factor = call.args[:2]
    *lead, channels, height, width = call.labels(data)
    parts = _parts(call, channels, data.shape[-3] // factor**2, int(factor))
    call.assign([*lead, parts, *_stretched(call, (height, width))])


def _parts(call: Call, channels: Label | None, count: int, factor: int) -> Label | None:
    why = call.why("laid out over space")
    split = call.algebra.split(channels, (count, factor, factor), why)
    for inner in split[1:]:
        call.fix(inner, "laid out over space")
    return split[0]


def _stretched(call: Call, labels: tuple[Label | None, ...]) -> list[Label | None]:
    for label in labels:
        call.fix(label, "resampled along it")
    return [None for _ in labels]


@register("pixel_unshuffle")
def pixel_unshuffle(call: Call) -> None:
    """[..., C, H r, W r] to [..., C r r, H, W]."""
    data, factor = call.args[:2]
    *lead, channels, height, width = call.labels(data)
    merged = call.algebra.merge([channels, None], [data.shape[-3], int(factor) ** 2])
    call.assign([*lead, merged, *_stretched(call, (height, width))])


@register("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(call: Call) -> None:
    """[N, g c, ...] to [N, c g, ...]."""
    data, groups = call.args[0], int(call.args[1])
    labels = list(call.labels(data))
    inner = data.shape[1] // groups
    group, channel = call.algebra.split(labels[1], (groups, inner), call.why("divided into groups"))
    if groups > 1:
        call.size("groups", group, groups)
    labels[1] = call.algebra.merge([channel, group], [inner, groups])
    call.assign(labels)
