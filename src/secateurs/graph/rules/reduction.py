"""Reductions, softmax and other operators along dims."""

from collections.abc import Sequence

from torch import Tensor

from secateurs.graph._call import Call
from secateurs.graph._labels import Label
from secateurs.graph.rules._registry import broadcast, register


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


@register("max", "min", "aminmax", "_aminmax")
def extreme(call: Call) -> None:
    """A statistic; the number of the position that wins is another number after a cut."""
    statistic(call)
    results = call.out if isinstance(call.out, (tuple, list)) else [call.out]
    dims, _ = _dim_arguments(call, call.args[0])
    if len(results) == 2 and not results[1].is_floating_point():
        call.numbered(results[1], call.labels(call.args[0])[dims[0]], "one position of it is picked")


@register("argmax", "argmin", "prod", "any", "all", "median", "nanmedian", "mode", "kthvalue", "count_nonzero")
def pick(call: Call) -> None:
    """Which position wins depends on all of them: the dim stays."""
    call.uncounted()
    data = call.args[0]
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


@register("cumsum", "cumprod", "sort", "topk", "logcumsumexp", "_logcumsumexp", "_cummax_helper", "_cummin_helper")
@register("cummax", "cummin", "renorm", "_masked_softmax")
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


@register("trace", "_linalg_svd", "_linalg_eigh", "linalg_eig", "linalg_qr", "linalg_inv_ex")
@register("linalg_cholesky_ex", "_linalg_det", "_linalg_slogdet", "_linalg_solve_ex", "linalg_lu_factor_ex")
@register("linalg_matrix_exp", "linalg_pinv", "_pdist_forward")
def square(call: Call) -> None:
    """The last two dims belong together as a matrix: they stay, batches of matrices pass."""
    call.uncounted()
    for tensor in call.tensors:
        for label in call.labels(tensor)[-2:]:
            call.fix(label, "a dimension of a matrix")
    data = call.tensors[0]
    results = call.out if isinstance(call.out, (tuple, list)) else [call.out]
    batch = call.labels(data)[:-2]
    call.assign(*[[*batch, *[None] * (result.dim() - len(batch))] for result in results])


_LOSSES = ("mse_loss", "smooth_l1_loss", "huber_loss", "soft_margin_loss", "binary_cross_entropy", "dist")


@register(*_LOSSES, "binary_cross_entropy_with_logits")
def loss(call: Call) -> None:
    """Position by position, then a sum or a mean over all of them."""
    call.uncounted()
    one, two = call.args[:2]
    labels = broadcast(call, [tensor for tensor in call.tensors if tensor.dim()], tuple(one.shape))
    whole = call.out.shape != one.shape or one.shape != two.shape
    for label in labels if whole else ():
        call.fix(label, "a loss is taken over it")
    call.assign(labels if not whole else [None for _ in call.out.shape])
