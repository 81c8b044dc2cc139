"""Reductions, softmax and other operators along dims."""

from collections.abc import Sequence

from torch import Tensor

from secateurs.graph._call import Call
from secateurs.graph._labels import Label
from secateurs.graph.rules._registry import register


def _dims(data: Tensor, given: int | Sequence[int] | None) -> list[int]:
    if given is None or (not isinstance(given, int) and len(given) == 0):
        return list(range(data.dim()))
    return sorted(dim % data.dim() for dim in ([given] if isinstance(given, int) else given)) if data.dim() else []


def _without(labels: Sequence[Label | None], dims: list[int], keepdim: bool) -> list[Label | None]:
    if keepdim:
        return [None if dim in dims else label for dim, label in enumerate(labels)]
    return [label for dim, label in enumerate(labels) if dim not in dims]


def _dim_arguments(call: Call, data: Tensor) -> tuple[list[int], bool]:
    names = [argument.name for argument in call.func._schema.arguments]
    if "dim" not in names:
        return list(range(data.dim())), False
    dims = _dims(data, call.argument(names.index("dim"), "dim"))
    keepdim = bool(call.argument(names.index("keepdim"), "keepdim", False)) if "keepdim" in names else False
    return dims, keepdim


@register("sum", "nansum")
def total(call: Call) -> None:
    """A removed position adds nothing: exact."""
    call.uncounted()
    data = call.args[0]
    dims, keepdim = _dim_arguments(call, data)
    for dim in dims:
        call.read(0, dim)
    call.assign(_without(call.labels(data), dims, keepdim))


@register("mean", "var", "std", "var_mean", "std_mean", "amax", "amin", "logsumexp", "linalg_vector_norm", "norm")
def statistic(call: Call) -> None:
    """The number of positions matters: a masked run takes the kept ones only."""
    call.uncounted()
    data = call.args[0]
    dims, keepdim = _dim_arguments(call, data)
    labels = call.labels(data)
    for dim in dims:
        call.mark("inexact", labels[dim], text="a statistic is taken over it")
    if any(call.kept(labels[dim]) is not None for dim in dims):
        call.put(call.func(call.gather(data, dims), *call.args[1:], **call.kwargs))
    results = call.out if isinstance(call.out, (tuple, list)) else [call.out]
    call.assign(*[_without(labels, dims, keepdim) for _ in results])


@register("max", "min", "argmax", "argmin", "prod", "any", "all", "median", "mode", "kthvalue")
def pick(call: Call) -> None:
    """Which position wins depends on all of them: the dim stays."""
    call.uncounted()
    data = call.args[0]
    if len(call.tensors) == 2:
        for label in (*call.labels(data), *call.labels(call.tensors[1])):
            call.fix(label, "compared position by position")
        return
    dims, keepdim = _dim_arguments(call, data)
    labels = call.labels(data)
    for dim in dims:
        call.fix(labels[dim], "one position of it is picked")
    results = call.out if isinstance(call.out, (tuple, list)) else [call.out]
    call.assign(*[_without(labels, dims, keepdim) for _ in results])


@register("_softmax", "_log_softmax", "_safe_softmax", "softmax", "log_softmax")
def compete(call: Call) -> None:
    """Logits [batch, heads, queries, keys] say which dim the heads are, however they were computed."""
    data = call.args[0]
    if data.dim() == 4 and call.argument(1, "dim") in (-1, 3):
        call.mark("head", call.labels(data)[1])
    along(call)


@register("cumsum", "cumprod", "sort", "topk")
def along(call: Call) -> None:
    """Positions along the dim compete or follow one another: it stays, the others pass."""
    call.uncounted()
    data = call.args[0]
    names = [argument.name for argument in call.func._schema.arguments]
    dim = call.argument(names.index("dim"), "dim", -1)
    labels = list(call.labels(data))
    if labels:
        call.fix(labels[dim], "positions along it compete")
        labels[dim] = None
    results = call.out if isinstance(call.out, (tuple, list)) else [call.out]
    call.assign(*[labels for _ in results])
