"""Covariances of what weights read, in one pass."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from secateurs.criteria._data import read_batches
from secateurs.criteria._pass import device_of, images_of
from secateurs.criteria._readings import Place, Reading, watched_operators
from secateurs.graph import Graph, free_attention, untouched
from secateurs.statistics import SecondMoments, Window, pieces_of

__all__ = ["ReadMoments", "read_moments"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadMoments:
    """A weight, and the covariance of what it reads.

    Attributes:
        weight: float64 [groups, rows, width x offsets]; of channels alone, a row for each output and offset.
        covariance: float64 [groups, width x offsets, width x offsets].
        width: positions that it reads.
        outputs: positions that it makes.
        offsets: columns for each position.
        reads: the dim of the tensor that reads.
    """

    weight: Tensor
    covariance: Tensor
    width: int
    outputs: int
    offsets: int
    reads: int


def read_moments(
    graph: Graph, batches: Iterable[Any] | None, *, rows: int, moments_bytes: int
) -> Mapping[str, ReadMoments]:
    """Of every weight with an axis on it that a convolution or matrix product uses as a whole, by its path.

    Raises:
        PlanError: no batches.
    """
    paths = sorted({member.path for axis in graph.axes for member in axis.members})
    paths = [path for path in paths if graph.tensor(path).dim() > 1]
    places = [Place(path=path, dim=dim) for path in paths for dim in (0, 1)]
    watch = _Watch(graph, rows, moments_bytes)
    with untouched(graph.model):
        free_attention(graph.model)  # torch's own hides what it does inside
        with watched_operators(graph, places, watch.take):
            for number, batch in enumerate(read_batches(batches, "criterion Reconstruction", device_of(graph))):
                watch.images = images_of(batch)
                watch.number = number
                batch.outputs(graph.model)
    return {path: watch.result(path) for path in list(watch.sums)}


class _Watch:
    """Adds up rows of every reading."""

    def __init__(self, graph: Graph, rows: int, moments_bytes: int) -> None:
        self._graph, self._rows, self._limit = graph, rows, moments_bytes
        self.sums: dict[str, tuple[SecondMoments, Window, int]] = {}
        self.images, self.number = 1, 0

    def take(self, reading: Reading) -> None:
        """One use of a weight."""
        place, sliding = reading.place, reading.sliding
        whole = reading.weight.numel() == self._graph.tensor(place.path).numel()
        if not whole or (sliding is not None and sliding.transposed) or reading.inputs.numel() == 0:
            return
        window = Window()
        if sliding is not None:
            window = Window(
                kernel=tuple(reading.weight.shape[2:]),
                stride=_each(sliding.stride, reading),
                padding=_each(sliding.padding, reading),
                dilation=_each(sliding.dilation, reading),
                groups=sliding.groups,
            )
        inputs = reading.inputs.detach()
        if window.kernel and 8 * window.groups * reading.weight[0].numel() ** 2 > self._limit and window.groups == 1:
            inputs, window = inputs.movedim(1, -1), Window()
        moments, _, _ = self.sums.setdefault(place.path, (SecondMoments(), window, place.dim))
        wanted = max(self._rows, 64 * reading.weight[0].numel())
        for x, y in pieces_of(inputs, _ones(inputs, window), window, _places(wanted, self.images)):
            moments.add(x, y)

    def result(self, path: str) -> ReadMoments:
        """Of one weight, whose sums are let go: both together would be twice the memory."""
        moments, window, reads = self.sums.pop(path)
        weight = self._graph.tensor(path).detach().double()
        if reads == 0:
            weight = weight.t()
        outputs, width = weight.shape[:2]
        if window.kernel or weight.dim() == 2:
            rows = weight.reshape(window.groups, outputs // window.groups, -1)
        else:
            rows = weight.flatten(2).movedim(2, 1).reshape(1, -1, width)
        offsets = window.offsets if window.kernel else 1
        covariance = moments.central()[0]
        return ReadMoments(
            weight=rows, covariance=covariance, width=width, outputs=outputs, offsets=offsets, reads=reads
        )


def _places(rows: int, images: int) -> int:
    """Per image; a batch may not know how many others there are, so that eight like it are taken for usual."""
    return max(1, math.ceil(rows / (8 * images)))


def _each(values: Any, reading: Reading) -> tuple[int, ...]:
    """One for each spatial dim."""
    given, dims = tuple(values), reading.weight.dim() - 2
    return given * dims if len(given) == 1 else given


def _ones(inputs: Tensor, window: Window) -> Tensor:
    """A constant in the shape of outputs: what is asked for here are moments of inputs alone."""
    if not window.kernel:
        return inputs.new_ones((*inputs.shape[:-1], 1))
    sizes = [
        (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
        for size, pad, dilation, kernel, stride in zip(
            inputs.shape[2:], window.padding, window.dilation, window.kernel, window.stride, strict=True
        )
    ]
    return inputs.new_ones((len(inputs), window.groups, *sizes))
