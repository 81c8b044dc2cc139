"""Matrix products: mm, addmm, bmm, baddbmm, mv, dot."""

from torch import Tensor

from secateurs.graph._call import Call
from secateurs.graph.rules._registry import broadcast, register


def _produce(call: Call, left: Tensor, right: Tensor) -> None:
    """Multiply-adds of [.., n, k] x [.., k, m], and who makes the m columns."""
    left_labels, right_labels = call.labels(left), call.labels(right)
    batch = list(zip(left.shape[:-2], left_labels[:-2], strict=True))
    rows = [(left.shape[-2], left_labels[-2]), (left.shape[-1], left_labels[-1]), (right.shape[-1], right_labels[-1])]
    call.macs(batch + rows, (left, right))


@register("mm")
def mm(call: Call) -> None:
    """[n, k] x [k, m]."""
    left, right = call.args[:2]
    call.contract((0, 1), (1, 0))
    _produce(call, left, right)
    call.mark("hidden", call.labels(right)[1], producer=right)
    call.separate(call.labels(right)[1], right)
    call.assign([call.labels(left)[0], call.labels(right)[1]])


@register("addmm")
def addmm(call: Call) -> None:
    """Bias + [n, k] x [k, m]."""
    bias, left, right = call.args[:3]
    call.contract((1, 1), (2, 0))
    _produce(call, left, right)
    call.mark("hidden", call.labels(right)[1], producer=right)
    call.separate(call.labels(right)[1], right)
    labels = [call.labels(left)[0], call.labels(right)[1]]
    for own, label in zip(reversed(call.labels(bias)), reversed(labels), strict=False):
        if own is not None or bias.shape[-1] != 1:
            call.unify(own, label)
    call.assign(labels)


def _batched(call: Call, first: int) -> None:
    left, right = call.args[first], call.args[first + 1]
    call.contract((first, 2), (first + 1, 1))
    left_labels, right_labels = call.labels(left), call.labels(right)
    call.unify(left_labels[0], right_labels[0])
    call.mark("head", left_labels[0])
    if left_labels[0] is not None:
        call.mark("head_dim", left_labels[2])
        call.mark("head_dim", right_labels[2])
    _produce(call, left, right)
    call.mark("hidden", right_labels[2], producer=right)


@register("bmm")
def bmm(call: Call) -> None:
    """[b, n, k] x [b, k, m]."""
    left, right = call.args[:2]
    _batched(call, 0)
    batch = call.labels(left)[0]
    call.assign([batch if batch is not None else call.labels(right)[0], call.labels(left)[1], call.labels(right)[2]])


@register("baddbmm")
def baddbmm(call: Call) -> None:
    """Bias + [b, n, k] x [b, k, m]."""
    bias, left, right = call.args[:3]
    _batched(call, 1)
    labels = [call.labels(left)[0], call.labels(left)[1], call.labels(right)[2]]
    shape = tuple(call.out.shape)
    for dim, own in enumerate(broadcast(call, [bias], shape)):
        if own is not None or (bias.dim() == 3 and bias.shape[dim] != 1):
            call.unify(own, labels[dim])
    call.assign(labels)


@register("mv")
def mv(call: Call) -> None:
    """[n, k] x [k]."""
    matrix, vector = call.args[:2]
    call.contract((0, 1), (1, 0))
    labels = call.labels(matrix)
    call.macs(list(zip(matrix.shape, labels, strict=True)), (matrix, vector))
    call.assign([labels[0]])


@register("dot", "vdot")
def dot(call: Call) -> None:
    """[k] x [k]."""
    first, second = call.args[:2]
    call.contract((0, 0), (1, 0))
    call.macs([(first.shape[0], call.labels(first)[0])], (first, second))
    call.assign([])


@register("_cdist_forward", "_euclidean_dist")
def distances(call: Call) -> None:
    """[..., n, k] and [..., m, k] -> [..., n, m]: positions that both lost are at the same place, at no distance."""
    call.uncounted()
    first, second = call.args[:2]
    call.contract((0, first.dim() - 1), (1, second.dim() - 1))
    one, two = call.labels(first), call.labels(second)
    lead = []
    for offset in range(max(first.dim(), second.dim()), 2, -1):
        left = one[-offset] if offset <= first.dim() and first.shape[-offset] > 1 else None
        right = two[-offset] if offset <= second.dim() and second.shape[-offset] > 1 else None
        if offset <= min(first.dim(), second.dim()) and first.shape[-offset] == second.shape[-offset]:
            call.unify(left, right)
        lead.append(right if left is None else left)
    call.assign([*lead, one[-2], two[-2]])
