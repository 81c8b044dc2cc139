"""Views and copies: reshape, permute, expand, and what leaves dims as they are."""

from collections.abc import Sequence

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
    call.assign_view(reshape_labels(call, call.labels(data), tuple(data.shape), tuple(call.out.shape)))


def reshape_labels(
    call: Call, labels: Sequence[Label | None], before: Sequence[int], after: Sequence[int]
) -> list[Label | None]:
    """Labels after a reshape: each smallest group of dims with equal products is merged, then split."""
    result: list[Label | None] = [None for _ in after]
    for old, new in _groups(before, after):
        if len(old) == 1 and len(new) == 1:
            result[new[0]] = labels[old[0]]
            continue
        if all(labels[dim] is None for dim in old):
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
