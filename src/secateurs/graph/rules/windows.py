"""Windows over space: patches as columns and back, sampling at given places, pooling undone."""

from math import prod

from secateurs.graph._call import Call
from secateurs.graph._labels import Label
from secateurs.graph.rules._registry import register


def _hold(call: Call, *labels: Label | None) -> None:
    for label in labels:
        call.fix(label, "resampled along it")


@register("im2col")
def im2col(call: Call) -> None:
    """[..., C, H, W] to [..., C k k, positions]."""
    data, kernel = call.args[:2]
    *lead, channels, height, width = call.labels(data)
    _hold(call, height, width)
    offsets = prod(int(size) for size in kernel)
    call.assign([*lead, call.algebra.merge([channels, None], [data.shape[-3], offsets]), None])


@register("col2im")
def col2im(call: Call) -> None:
    """[..., C k k, positions] to [..., C, H, W]: overlapping patches are added."""
    data, _, kernel = call.args[:3]
    *lead, columns, positions = call.labels(data)
    _hold(call, positions)
    offsets = prod(int(size) for size in kernel)
    channels, inner = call.algebra.split(columns, (data.shape[-2] // offsets, offsets), call.why("laid out over space"))
    call.fix(inner, "laid out over space")
    call.assign([*lead, channels, None, None])


@register("unfold", "unfold_copy")
def unfold(call: Call) -> None:
    """Windows of one dim become a dim of their own, at the end."""
    data, dim = call.args[:2]
    labels = list(call.labels(data))
    if labels:
        _hold(call, labels[dim])
        labels[dim] = None
    call.assign([*labels, None][: call.out.dim()])


@register("max_unpool2d", "max_unpool3d")
def max_unpool(call: Call) -> None:
    """Values go back to the places that pooling took them from, channel by channel."""
    data, places = call.args[:2]
    spatial = 3 if "3d" in call.name else 2
    labels = call.labels(data)
    for own, other in zip(labels, call.labels(places), strict=True):
        call.unify(own, other)
    _hold(call, *labels[-spatial:])
    call.assign([*labels[:-spatial], *[None for _ in range(spatial)]])


@register("grid_sampler", "grid_sampler_2d", "grid_sampler_3d", "_grid_sampler_2d_cpu_fallback", "cudnn_grid_sampler")
def grid_sampler(call: Call) -> None:
    """Data [N, C, *space] read at places [N, *out, dims]."""
    call.uncounted()
    data, places = call.args[:2]
    labels, given = call.labels(data), call.labels(places)
    call.unify(labels[0], given[0])
    _hold(call, *labels[2:], given[-1])
    call.assign([labels[0], labels[1], *given[1:-1]])


@register("affine_grid_generator")
def affine_grid(call: Call) -> None:
    """One matrix per sample to a grid of places."""
    labels = call.labels(call.args[0])
    _hold(call, *labels[1:])
    call.assign([labels[0], *[None for _ in call.out.shape[1:]]])


@register("fractional_max_pool2d", "fractional_max_pool3d")
def fractional_pool(call: Call) -> None:
    """Windows drawn at random for every channel."""
    data, samples = call.args[0], call.args[3]
    spatial = 3 if "3d" in call.name else 2
    labels, drawn = call.labels(data), call.labels(samples)
    lead = labels[:-spatial]
    for own, other in zip(reversed(lead), reversed(drawn[:-1]), strict=False):
        call.unify(own, other)
    _hold(call, *labels[-spatial:], drawn[-1])
    passed = [*lead, *[None for _ in range(spatial)]]
    call.assign(passed, passed)
