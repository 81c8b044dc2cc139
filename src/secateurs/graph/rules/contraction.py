"""Matrix products: mm, addmm, bmm, baddbmm, mv, dot."""

from collections.abc import Sequence

from torch import Tensor

from secateurs.graph._call import Call
from secateurs.graph._labels import Label
from secateurs.graph.rules._biases import count_bias
from secateurs.graph.rules._registry import register, register_anywhere


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
    _tie_bias(call, bias, labels)
    call.assign(labels)


def _batched(call: Call, first: int) -> None:
    left, right = call.args[first], call.args[first + 1]
    call.contract((first, 2), (first + 1, 1))
    left_labels, right_labels = call.labels(left), call.labels(right)
    call.unify(left_labels[0], right_labels[0])
    if left_labels[0] is not None and all(call.mode.info(tensor).origin is None for tensor in (left, right)):
        call.mark("head", left_labels[0])
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
    _tie_bias(call, bias, labels)
    call.assign(labels)


@register("addbmm")
def addbmm(call: Call) -> None:
    """Bias [n, m] + the sum of all [b, n, k] x [b, k, m]."""
    bias, left, right = call.args[:3]
    call.read(1, 0)
    call.read(2, 0)
    _batched(call, 1)
    labels = [call.labels(left)[1], call.labels(right)[2]]
    _tie_bias(call, bias, labels)
    call.assign(labels)


@register("_grouped_mm")
@register_anywhere("grouped_mm_fallback")
def grouped(call: Call) -> None:
    """[n, k] x [experts, k, m] -> [n, m], where every expert takes a run of rows; or [experts, n, k] on the left."""
    left, right = call.args[:2]
    if left.dim() + right.dim() < 5 or right.dim() == 2:
        raise ValueError("runs of columns")
    call.contract((0, left.dim() - 1), (1, 1))
    labels, weights = call.labels(left), call.labels(right)
    lead = list(labels[:-1])
    if left.dim() == 3:
        call.unify(labels[0], weights[0])
    else:
        call.fix(weights[0], "each takes a run of rows")
        call.fix(labels[0], "runs of rows")
        lead = [None]
    for other in call.tensors[2:]:
        for label in call.labels(other)[:1]:
            call.fix(label, "bounds of runs of rows")
    if call.name.startswith("aten."):  # torch's own kernel reads 16 bytes at once
        for tensor, label in ((left, labels[-1]), (right, weights[2])):
            call.aligned(label, tensor.shape[-1], 16 // tensor.element_size())
    call.mark("hidden", weights[2], producer=right)
    rows = list(zip(left.shape, labels, strict=True))
    call.macs([*rows, (right.shape[2], weights[2])], (left, right))
    call.assign([*lead, weights[2]])


@register("addmv")
def addmv(call: Call) -> None:
    """Bias + [n, k] x [k]."""
    bias, matrix, vector = call.args[:3]
    call.contract((1, 1), (2, 0))
    labels = call.labels(matrix)
    call.macs(list(zip(matrix.shape, labels, strict=True)), (matrix, vector))
    _tie_bias(call, bias, [labels[0]])
    call.assign([labels[0]])


@register("addr")
def addr(call: Call) -> None:
    """Bias + [n] x [m], without a sum."""
    bias, one, two = call.args[:3]
    labels = [call.labels(one)[0], call.labels(two)[0]]
    call.macs([(one.shape[0], labels[0]), (two.shape[0], labels[1])], (one, two))
    _tie_bias(call, bias, labels)
    call.assign(labels)


def _tie_bias(call: Call, bias: Tensor, labels: Sequence[Label | None]) -> None:
    """A bias is broadcast."""
    count_bias(call, bias, zip(call.out.shape, labels, strict=True))
    for own, label, size in zip(reversed(call.labels(bias)), reversed(labels), reversed(bias.shape), strict=False):
        if size != 1:
            call.unify(own, label)


@register("_trilinear")
def trilinear(call: Call) -> None:
    """Products of three tensors with dims put in, and sums over some."""
    labels, shape = [], []
    for operand, new in zip(call.args[:3], call.args[3:6], strict=True):
        own, sizes = list(call.labels(operand)), list(operand.shape)
        for dim in new:
            own.insert(dim, None)
            sizes.insert(dim, 0)
        labels.append(own)
        shape.append(sizes)
    summed = call.args[6]
    result: list[Label | None] = []
    for dim in range(len(shape[0])):
        present = [i for i in range(3) if shape[i][dim]]
        for other in present[1:]:
            call.unify(labels[present[0]][dim], labels[other][dim])
        result.append(labels[present[0]][dim])
    for i in range(3):
        for dim in summed:
            if shape[i][dim]:
                call.read(i, dim - sum(new < dim for new in call.args[3 + i]))
    sizes = [max(sizes[dim] for sizes in shape) for dim in range(len(shape[0]))]
    call.macs(list(zip(sizes, result, strict=True)), call.args[:3])
    call.assign([label for dim, label in enumerate(result) if dim not in summed])


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
