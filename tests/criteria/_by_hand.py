"""The toys computed by hand: what units look like where they are read, and gradients one image at a time."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs.graph import Axis, Graph, Member
from tests.criteria._toys import toy

Data = list[tuple[Tensor, Tensor]]
SIZES = (3, 1, 4)
"""Of batches: a mean of their means would be wrong."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Units at one place.

    Attributes:
        values: [images, places, positions].
        units: of each position.
        weights: [rows, positions] of the weight that reads them, if any.
        height: of the feature map, if places are one.
    """

    values: Tensor
    units: Sequence[int]
    weights: Tensor | None = None
    height: int = 1


def data(name: str, sizes: Sequence[int] = SIZES) -> tuple[Graph, Data]:
    """A toy in double precision, and batches with classes for it."""
    graph, x = toy(name, dtype=torch.float64)
    generator = torch.Generator().manual_seed(5)
    batches = []
    for size in sizes:
        images = torch.randn(size, *x.shape[1:], generator=generator, dtype=torch.float64)
        batches.append((images, torch.randint(3, (size,), generator=generator)))
    return graph, batches


def whole(batches: Data) -> tuple[Tensor, Tensor]:
    """All batches in one."""
    return torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy, whatever the outputs are shaped like; a mean over the batch."""
    return F.cross_entropy(outputs.reshape(len(targets), -1) / 50, targets)


def gradients(graph: Graph, images: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
    """Of the mean loss, with respect to every parameter, by plain backward."""
    model = deepcopy(graph.model).eval().requires_grad_()
    model.zero_grad()
    loss(model(images), targets).backward()
    return {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        for name, parameter in model.named_parameters()
    }


def each_image(graph: Graph, batches: Data) -> Iterator[Mapping[str, Tensor]]:
    """The same, of every image alone."""
    images, targets = whole(batches)
    for number in range(len(images)):
        yield gradients(graph, images[number : number + 1], targets[number : number + 1])


def entries(graph: Graph, axis: Axis, members: Sequence[Member], values: Mapping[str, Tensor]) -> Tensor:
    """Sums of numbers per weight over the members of an axis, an entry at a time."""
    sums = [0.0] * axis.size
    for member in members:
        rows = values[member.path].movedim(member.dim, 0)
        for position, unit in zip(member.positions.tolist(), member.units.tolist(), strict=True):
            sums[unit] += sum(rows[position].reshape(-1).tolist())
    return torch.tensor(sums, dtype=torch.float64)


def parameters(graph: Graph, axis: Axis) -> list[Member]:
    """The members that are parameters."""
    return [member for member in axis.members if isinstance(graph.tensor(member.path), nn.Parameter)]


def gate_members(graph: Graph, axis: Axis) -> list[Member]:
    """The parameters whose sum of weight times gradient is activation times gradient.

    Those that read a unit, being linear in it; where nothing does, those of the module that it leaves: a norm's scale
    and shift, or a layer's weight and bias.
    """
    reading = [member for member in axis.members if member.role == "reads"]
    if reading:
        return reading
    own = parameters(graph, axis)
    norms = [member for member in own if "norm" in member.path]
    return norms or own


def _flat(x: Tensor) -> Tensor:
    """Images of channels as [images, places, channels]."""
    return x.flatten(2).transpose(1, 2)


def _weight(model: nn.Module, path: str) -> Tensor:
    """[rows, positions on dim 1]."""
    weight = model.get_parameter(path).detach()
    return weight.movedim(1, -1).reshape(-1, weight.shape[1])


def seen(name: str, model: nn.Module, images: Tensor) -> Mapping[str, list[Seen]]:
    """What each axis's units look like, by the toy's name."""
    with torch.no_grad():
        return {"chain": _chain, "residual": _residual, "grouped": _grouped, "attention": _attention}[name](
            model.eval(), images
        )


def _chain(model: nn.Module, x: Tensor) -> dict[str, list[Seen]]:
    layers = list(model.children())
    first = layers[0](x).relu()
    second = layers[2](first).relu()
    return {
        "0": [Seen(values=first[:, None], units=range(7), weights=_weight(model, "2.weight"))],
        "2": [Seen(values=second[:, None], units=range(5), weights=_weight(model, "4.weight"))],
    }


def _residual(model: nn.Module, x: Tensor) -> dict[str, list[Seen]]:
    stem, inner, outer, norm = (model.get_submodule(part) for part in ("stem", "inner", "outer", "norm"))
    stream = stem(x)
    hidden = inner(stream).relu()
    added = norm(outer(hidden))
    last = (stream + added).relu()
    every = [position // 16 for position in range(96)]
    return {
        "stem": [
            Seen(values=_flat(stream), units=range(6), weights=_weight(model, "inner.weight"), height=4),
            Seen(values=last.flatten(1)[:, None], units=every, weights=_weight(model, "head.weight")),
        ],
        "stem:branch": [Seen(values=_flat(stream), units=range(6), height=4)],
        "inner": [Seen(values=_flat(hidden), units=range(5), weights=_weight(model, "outer.weight"), height=4)],
        "outer:branch": [Seen(values=_flat(added), units=range(6), height=4)],
    }


def _grouped(model: nn.Module, x: Tensor) -> dict[str, list[Seen]]:
    layers = list(model.children())
    narrow = layers[1](layers[0](x))
    wide = layers[2](narrow)
    # Four groups of two channels: the groups meet the same two positions of the weight.
    shared = narrow.unflatten(1, (4, 2)).movedim(2, -1).flatten(1, -2)
    last = _weight(model, "3.weight")
    return {
        "0:group.1": [Seen(values=_flat(wide), units=[c // 3 for c in range(12)], weights=last, height=2)],
        "0:group.2": [Seen(values=shared, units=range(2), weights=_weight(model, "2.weight"), height=2)],
        "2": [Seen(values=_flat(wide), units=[c % 3 for c in range(12)], weights=last, height=2)],
    }


def _attention(model: nn.Module, x: Tensor) -> dict[str, list[Seen]]:
    attention = model.get_submodule("attention")
    assert isinstance(attention, nn.MultiheadAttention)
    stream = model.get_submodule("embed")(x)
    assert attention.in_proj_weight is not None
    projected = F.linear(stream, attention.in_proj_weight, attention.in_proj_bias)
    q, k, v = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in projected.split(8, -1))
    mixed = ((q @ k.transpose(-2, -1) / 2).softmax(-1) @ v).transpose(1, 2).flatten(2)
    added = attention.out_proj(mixed)
    out, four = _weight(model, "attention.out_proj.weight"), [0, 1, 2, 3] * 2
    return {
        "embed": [
            Seen(values=stream, units=range(8), weights=_weight(model, "attention.in_proj_weight")),
            Seen(values=stream + added, units=range(8), weights=_weight(model, "head.weight")),
        ],
        "embed:branch": [Seen(values=stream, units=range(8))],
        "attention.in_proj:head": [Seen(values=mixed, units=[0] * 4 + [1] * 4, weights=out)],
        "attention.in_proj:head_dim.1": [Seen(values=projected[..., :16], units=four * 2)],
        "attention.in_proj:head_dim.2": [Seen(values=mixed, units=four, weights=out)],
        "attention.out_proj:branch": [Seen(values=added, units=range(8))],
    }
