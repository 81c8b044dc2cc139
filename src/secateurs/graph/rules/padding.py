"""Dims that grow: constant positions around them, or the same positions several times."""

import numpy as np

from secateurs.graph._call import Call
from secateurs.graph._labels import Label
from secateurs.graph.rules._registry import register
from secateurs.graph.rules.creation import sized_label


@register("repeat")
def repeat(call: Call) -> None:
    """The tensor is laid out several times along dims; how often is a size, as of a dim that comes in."""
    data, times = call.args[:2]
    lead = len(times) - data.dim()
    given = call.mode.scopes.get("repeats", ())
    asked = given if len(given) == len(times) else [None for _ in times]
    labels: list[Label | None] = []
    for dim, (count, one) in enumerate(zip(times, asked, strict=True)):
        size = data.shape[dim - lead] if dim >= lead else 1
        if size > 1 and one is not None and one[0] is None:
            one = None
        own = call.labels(data)[dim - lead] if dim >= lead else None
        labels.append(call.algebra.merge([sized_label(call, int(count), one), own], [int(count), size]))
    call.assign(labels)


@register("constant_pad_nd")
def pad(call: Call) -> None:
    """Positions that are constant come before and after: fresh units, cut with whatever they are added to."""
    data, amounts = call.args[:2]
    labels = list(call.labels(data))
    for place in range(len(amounts) // 2):
        dim, before, after = data.dim() - 1 - place, int(amounts[2 * place]), int(amounts[2 * place + 1])
        label = labels[dim]
        if (before, after) == (0, 0):
            continue
        if before < 0 or after < 0:
            call.fix(label, "cropped by a pad of negative size")
            labels[dim] = None
            continue
        # Made also where they are not needed: a masked run counts them, and may know of fewer or more labels.
        front, back = call.mode.fresh(before), call.mode.fresh(after)
        if label is None:
            continue
        call.size(f"pad[{2 * place}]", front if before else None, before)
        call.size(f"pad[{2 * place + 1}]", back if after else None, after)
        width = label.shape[1]
        columns = [np.pad(part, ((0, 0), (0, width - 1))) for part in (front, back)]
        labels[dim] = np.concatenate([columns[0], label, columns[1]])
    call.assign(labels)
