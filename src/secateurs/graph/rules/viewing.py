"""Views and copies: reshape, permute, expand, slice, select, split, flip, repeat, and what leaves dims as they are."""

from collections.abc import Sequence

import numpy as np
import torch

from secateurs.graph._call import Call
from secateurs.graph._labels import Label
from secateurs.graph.rules._registry import register


@register("view", "_unsafe_view", "reshape", "_reshape_alias", "_view_copy", "view_copy")
def view(call: Call) -> None:
    """Dims are merged and split, group by group of equal products."""
    data = call.args[0]
    if call.func._overloadname == "dtype":
        same(call)
        return
    shape = [int(size) for size in call.out.shape]
    call.assign_view(reshape_labels(call, call.labels(data), [int(size) for size in data.shape], shape))


def reshape_labels(
    call: Call, labels: Sequence[Label | None], before: Sequence[int], after: Sequence[int]
) -> list[Label | None]:
    """Labels after a reshape: each smallest group of dims with equal products is merged, then split."""
    result: list[Label | None] = [None for _ in after]
    for old, new in _groups(before, after):
        if len(old) == 1 and len(new) == 1:
            result[new[0]] = labels[old[0]]
            continue
        merged = call.algebra.merge([labels[dim] for dim in old], [before[dim] for dim in old])
        parts = call.algebra.split(merged, [after[dim] for dim in new], call.why("viewed in a shape that divides it"))
        for dim, part in zip(new, parts, strict=True):
            result[dim] = part
    return result


def _groups(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Pairs of (old dims, new dims) of equal product, dims of size 1 left out."""
    old = [dim for dim, size in enumerate(before) if size != 1]
    new = [dim for dim, size in enumerate(after) if size != 1]
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old) and j < len(new):
        left, right = [old[i]], [new[j]]
        a, b = before[old[i]], after[new[j]]
        i, j = i + 1, j + 1
        while a != b:
            if a < b:
                left.append(old[i])
                a, i = a * before[old[i]], i + 1
            else:
                right.append(new[j])
                b, j = b * after[new[j]], j + 1
        groups.append((left, right))
    return groups


@register("alias", "detach", "clone", "contiguous", "_to_copy", "lift_fresh", "resolve_conj", "positive")
def same(call: Call) -> None:
    """Every dim stays what it is, and so do the values."""
    data = call.args[0]
    if _rounds(data.dtype, call.out.dtype):
        call.assign(call.labels(data))
    else:
        call.assign_view(call.labels(data))


def _rounds(before: torch.dtype, after: torch.dtype) -> bool:
    """Whether integers lose their values."""
    return not before.is_floating_point and after not in (before, torch.int64, torch.int32)


@register("zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like")
@register("bernoulli", "native_dropout", "dropout")
def alike(call: Call) -> None:
    """Every dim stays what it is, with other values in it."""
    results = call.out if isinstance(call.out, (tuple, list)) else [call.out]
    call.assign(*[call.labels(call.args[0]) for _ in results])
    if call.name.endswith("zeros_like"):
        call.out._secateurs_zeros = call.out._version


@register("fill", "zero", "uniform", "normal", "random", "exponential")
def overwrite(call: Call) -> None:
    """A tensor filled in place, every position alike."""
    call.assign(call.labels(call.args[0]))


@register("copy")
def copy(call: Call) -> None:
    """One tensor written over another, broadcast."""
    target, source = call.args[:2]
    labels = call.labels(target)
    for offset in range(1, source.dim() + 1):
        if source.shape[-offset] == target.shape[-offset] != 1:
            call.unify(labels[-offset], call.labels(source)[-offset])
    call.assign(labels)


@register("t", "transpose", "permute", "movedim", "numpy_T")
def permute(call: Call) -> None:
    """Dims change places."""
    data = call.args[0]
    order = list(range(data.dim()))
    if "permute" in call.name:
        order = [dim % data.dim() for dim in call.args[1]]
    elif data.dim() > 1:
        first, second = (0, 1) if len(call.args) == 1 else call.args[1:3]
        order[first], order[second] = order[second], order[first]
    labels = call.labels(data)
    call.assign_view([labels[dim] for dim in order])


@register("unsqueeze")
def unsqueeze(call: Call) -> None:
    """A dim of one position comes in."""
    data, dim = call.args[:2]
    labels = list(call.labels(data))
    labels.insert(dim % (data.dim() + 1), None)
    call.assign_view(labels)


@register("squeeze")
def squeeze(call: Call) -> None:
    """Dims of one position go."""
    data = call.args[0]
    given = call.argument(1, "dim")
    dims = range(data.dim()) if given is None else ([given] if isinstance(given, int) else given)
    gone = {dim % data.dim() for dim in dims if data.dim() and data.shape[dim] == 1}
    call.assign_view([label for dim, label in enumerate(call.labels(data)) if dim not in gone])


@register("expand")
def expand(call: Call) -> None:
    """Dims of one position are repeated, new ones come in front: fresh units, cut with what they meet."""
    data = call.args[0]
    shape, labels = call.out.shape, call.labels(data)
    lead = len(shape) - data.dim()
    result: list[Label | None] = []
    for dim, size in enumerate(shape):
        own = dim - lead
        given = own >= 0 and data.shape[own] == size
        result.append(labels[own] if given else call.mode.fresh(int(size)) if size > 1 else None)
    call.assign_view(result)


@register("repeat")
def repeat(call: Call) -> None:
    """The tensor is laid out several times along dims."""
    data, times = call.args[:2]
    lead = len(times) - data.dim()
    labels: list[Label | None] = [None for _ in range(lead)]
    for dim, label in enumerate(call.labels(data)):
        labels.append(call.algebra.merge([None, label], [int(times[lead + dim]), data.shape[dim]]))
    call.assign(labels)


@register("slice")
def slice_(call: Call) -> None:
    """Positions from start to end; with a step, the positions between go with the one that is taken."""
    data = call.args[0]
    dim = call.argument(1, "dim", 0)
    start, end, step = (call.argument(place, name) for place, name in ((2, "start"), (3, "end"), (4, "step")))
    labels, size = list(call.labels(data)), data.shape[dim]
    label = labels[dim]
    first, last, stride = slice(start, end, step or 1).indices(size)
    if label is not None and (first, last, stride) != (0, size, 1):
        if not call.mode.sized or stride != 1:
            call.fix(label, "a slice with bounds or a step written in the code")
        labels[dim] = label[first:last:stride]
    call.assign_view(labels)


@register("select")
def select(call: Call) -> None:
    """One position is taken out: where it is a unit, it stays in its place."""
    data, dim, _ = call.args[:3]
    labels = call.labels(data)
    call.fix(labels[dim], "one position is selected by number")
    call.assign_view([label for place, label in enumerate(labels) if place != dim % data.dim()])


@register("unbind")
def unbind(call: Call) -> None:
    """Every position of a dim becomes a tensor."""
    data = call.args[0]
    dim = call.argument(1, "dim", 0) % data.dim()
    labels = call.labels(data)
    call.fix(labels[dim], "unbound position by position")
    rest = [label for place, label in enumerate(labels) if place != dim]
    call.assign_view(*[rest for _ in call.out])


@register("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk", "unsafe_split_with_sizes")
def split(call: Call) -> None:
    """Parts of a dim; equal parts that the code gets by dividing the size (chunk) lose the same positions."""
    data = call.args[0]
    dim = call.argument(2, "dim", 0) % data.dim()
    labels = call.labels(data)
    sizes = [part.shape[dim] for part in call.out]
    bounds = np.cumsum([0, *sizes])
    label = labels[dim]
    parts = [None if label is None else label[bounds[i] : bounds[i + 1]] for i in range(len(sizes))]
    if label is not None and len(parts) > 1:
        if "chunks" in call.mode.scopes:
            _tie(call, parts)
        elif not call.mode.sized:
            call.fix(label, "split into sizes written in the code")
    call.assign_view(*[[*labels[:dim], part, *labels[dim + 1 :]] for part in parts])


def _tie(call: Call, parts: Sequence[Label | None]) -> None:
    """Chunks: the code divides whatever size is there into as many parts, so equal ones stay equal."""
    sizes = {0 if part is None else len(part) for part in parts}
    for part in parts[1:]:
        if len(sizes) == 1:
            call.unify(parts[0], part)
    if len(sizes) > 1:
        for part in parts:
            call.fix(part, "chunks of unequal size")


@register("flip")
def flip(call: Call) -> None:
    """Positions in reverse order."""
    data, dims = call.args[:2]
    flipped = {dim % data.dim() for dim in dims}
    labels = enumerate(call.labels(data))
    call.assign([label[::-1] if label is not None and dim in flipped else label for dim, label in labels])


@register("constant_pad_nd")
def pad(call: Call) -> None:
    """Positions that are constant come before and after: fresh units, cut with whatever they are added to."""
    data, amounts = call.args[:2]
    labels = list(call.labels(data))
    for place in range(len(amounts) // 2):
        dim, before, after = data.dim() - 1 - place, int(amounts[2 * place]), int(amounts[2 * place + 1])
        label = labels[dim]
        if label is None or (before, after) == (0, 0):
            continue
        if before < 0 or after < 0:
            call.fix(label, "cropped by a pad of negative size")
            labels[dim] = None
            continue
        front, back = call.mode.fresh(before), call.mode.fresh(after)
        call.size(f"pad[{2 * place}]", front if before else None, before)
        call.size(f"pad[{2 * place + 1}]", back if after else None, after)
        width = label.shape[1]
        columns = [np.pad(part, ((0, 0), (0, width - 1))) for part in (front, back)]
        labels[dim] = np.concatenate([columns[0], label, columns[1]])
    call.assign(labels)
