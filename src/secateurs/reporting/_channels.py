"""How alike two cuts are, and what they do to the norms of filters."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from secateurs._files import load_tensors

__all__ = ["NormHistogram", "channel_difference", "filter_norms", "norm_histogram"]


def channel_difference(first: Mapping[str, Collection[int]], second: Mapping[str, Collection[int]]) -> float:
    """1 - |A and B| / |A or B|, both summed over layers: 0 where two cuts take the same, 1 where nothing in common.

    Args:
        first, second: layer to the channels removed, as in channels.json; a layer that one does not name loses nothing
            there. Two cuts that remove nothing are the same.

    >>> channel_difference({"conv1": [0, 1], "conv2": [5]}, {"conv1": [1, 2], "conv2": [5]})
    0.5
    """
    layers = first.keys() | second.keys()
    pairs = [(set(first.get(layer, ())), set(second.get(layer, ()))) for layer in layers]
    either = sum(len(a | b) for a, b in pairs)
    return 1 - sum(len(a & b) for a, b in pairs) / either if either else 0.0


@dataclass(frozen=True, kw_only=True)
class NormHistogram:
    """Filters by their mean absolute weight.

    Attributes:
        edges: of the bins, one more than there are bins; the same before and after.
        before: filters in each bin.
        after: the same of the other network.
    """

    edges: tuple[float, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]


def norm_histogram(before: Path, after: Path, *, bins: int = 50) -> NormHistogram:
    """The L1 norms of all filters of two networks, each divided by the number of its weights, over all layers.

    Args:
        before, after: weight files of two networks, such as a stage's model.safetensors before and after a cut.
        bins: how many, from 0 to the largest norm of both.

    Raises:
        FileError: no such file.
    """
    norms = [filter_norms(path) for path in (before, after)]
    edges = np.linspace(0.0, max(float(own.max(initial=0.0)) for own in norms) or 1.0, bins + 1)
    counts = [np.histogram(own, edges)[0].tolist() for own in norms]
    return NormHistogram(edges=tuple(edges.tolist()), before=tuple(counts[0]), after=tuple(counts[1]))


def filter_norms(path: Path) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """The mean absolute weight of every filter of a network, from its weight file.

    Raises:
        FileError: no such file.
    """
    tensors, _ = load_tensors(path)
    own = [
        tensor.double().abs().flatten(1).mean(1).numpy()
        for name, tensor in sorted(tensors.items())
        if name.rpartition(".")[2] == "weight" and tensor.dim() > 1
    ]
    return np.concatenate([np.zeros(0), *own])
