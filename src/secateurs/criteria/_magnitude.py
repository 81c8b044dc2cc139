"""Norms of weights."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from secateurs._errors import ConfigError, PlanError
from secateurs.criteria._criterion import Criterion, Loss
from secateurs.criteria._registry import register
from secateurs.graph import Axis, Graph, Member

__all__ = ["Magnitude"]

FloatArray = npt.NDArray[np.float64]


@final
@register("magnitude")
@dataclass(frozen=True, kw_only=True)
class Magnitude(Criterion):
    """The L_p norm of the weights that produce a unit.

    The score of unit u, a number per unit [axis.size], is

        s_u = (sum over producers W of the axis, over positions i of u on W's producing dim, of sum_j |W[i, j]|^p)^(1/p)

    where j runs over all other dims of W (inputs, kernel offsets), and s_u = max |W[i, j]| for p = inf. So

    - a unit that several producers of a sum make (the stream of a ResNet stage) adds up all their weights;
    - a unit with several positions (a head of an attention layer, a channel flattened with its pixels) adds up all
      of them; so does a member with several units in one place (heads x head_dim), once for each;
    - biases, norm scales and the weights that read the unit do not count;
    - an axis that no weight produces (it is only read or scaled) counts all parameters that it shows up in instead,
      and where there are none, its buffers.

    The norm grows with the number of weights per unit, so that scores compare across axes as they are only where
    layers are alike; `normalize` makes them comparable. Multiplying all weights by c > 0 multiplies the scores by c,
    and leaves normalised ones as they are. Scores are float32, or float64 where a weight is; computed where the
    weights are, returned on the CPU.

    Source: Li et al., Pruning Filters for Efficient ConvNets, 2017 (p = 1, per filter); Han et al., Learning both
    Weights and Connections for Efficient Neural Networks, 2015 (magnitude as importance).

    Args:
        p: at least 1; `math.inf` takes the largest weight.
        normalize: divide by the "mean" or the "max" of the axis' scores (where that is not 0).

    Raises:
        ConfigError: an option out of range.
        PlanError: when called, weights on the meta device or not finite.
    """

    p: float = 2
    normalize: Literal["mean", "max"] | None = None

    def __post_init__(self) -> None:
        number = isinstance(self.p, (int, float)) and not isinstance(self.p, bool)
        if not number or not self.p >= 1:
            wanted, cure = "a number of at least 1, or inf", "Take 1, 2 or math.inf."
            raise ConfigError("criterion 'magnitude' p", wanted=wanted, got=repr(self.p), cure=cure)
        if self.normalize not in (None, "mean", "max"):
            wanted, cure = "None, 'mean' or 'max'", "Take one of these."
            raise ConfigError("criterion 'magnitude' normalize", wanted=wanted, got=repr(self.normalize), cure=cure)

    def score(self, graph: Graph, batches: Iterable[Any] | None, loss: Loss | None) -> Mapping[str, Tensor]:
        """See the class."""
        del batches, loss
        members = [_producers(graph, axis) for axis in graph.axes]
        norms = _Norms(graph, {(member.path, member.dim) for own in members for member in own}, self.p)
        scores = _combined(graph.axes, members, norms, self.p)
        return {
            axis.name: torch.from_numpy(self._normalized(own)).to(norms.dtype(made))
            for axis, own, made in zip(graph.axes, scores, members, strict=True)
        }

    def _normalized(self, scores: FloatArray) -> FloatArray:
        if self.normalize is None:
            return scores
        divisor = float(scores.mean() if self.normalize == "mean" else scores.max())
        return scores / (divisor if divisor != 0 else 1.0)


def _producers(graph: Graph, axis: Axis) -> Sequence[Member]:
    """The members whose weights count."""
    producing = [member for member in axis.members if member.role == "produces"]
    if producing:
        return producing
    return [member for member in axis.members if isinstance(graph.tensor(member.path), nn.Parameter)] or axis.members


class _Norms:
    """The norms over all other dims at each position of the producing dims, taken from the device at once.

    Args:
        places: path and dim of each.
    """

    def __init__(self, graph: Graph, places: Iterable[tuple[str, int]], p: float) -> None:
        ordered = sorted(places)
        tensors = {path: graph.tensor(path) for path, _ in ordered}
        self._double = {path for path, tensor in tensors.items() if tensor.dtype == torch.float64}
        found = [_norms(_with_values(path, tensors[path]), dim, p) for path, dim in ordered]
        self._norms = dict(zip(ordered, _to_host(found), strict=True))
        for (path, dim), norms in self._norms.items():
            if p <= 2 and not _is_safe(norms):
                (self._norms[path, dim],) = _to_host([_scaled_norms(_rows(tensors[path], dim), p)])

    def of(self, member: Member) -> FloatArray:
        """At each position of a member."""
        norms = self._norms[member.path, member.dim]
        # Positions are ascending: as many as there are means all of them.
        return norms if len(member.positions) == len(norms) else norms[member.positions]

    def dtype(self, members: Iterable[Member]) -> torch.dtype:
        """Of scores that come from some members."""
        return torch.float64 if any(member.path in self._double for member in members) else torch.float32


def _with_values(path: str, tensor: Tensor) -> Tensor:
    if tensor.is_meta:
        cure = "Load the model's weights before scoring."
        raise PlanError(path, wanted="weights with values", got="a meta tensor", cure=cure)
    return tensor


def _norms(tensor: Tensor, dim: int, p: float) -> Tensor:
    """The norm over all other dims at each position of one."""
    if p > 2:
        return _scaled_norms(_rows(tensor, dim), p)
    if dim > 0:
        return _norms_across(tensor.detach(), dim, p)
    norms: Tensor = torch.linalg.vector_norm(_rows(tensor, dim), ord=p, dim=1)
    return norms


def _norms_across(values: Tensor, dim: int, p: float) -> Tensor:
    """The same where what is added up lies apart in memory: block by block, twenty times as fast as in one go."""
    size = values.shape[dim]
    values = values.reshape(math.prod(values.shape[:dim]), size, -1)
    block = max(1, (_BLOCK if values.device.type == "cpu" else 2**8 * _BLOCK) // (size * values.shape[2]))
    dtype = torch.promote_types(values.dtype, torch.float32)
    sums = torch.zeros(size, dtype=dtype, device=values.device)
    for part in values.split(block):
        part = part.to(dtype)
        sums += (part * part if p == 2 else part.abs() if p == 1 else part.abs() ** p).sum((0, 2))
    return sums ** (1 / p)


_BLOCK = 2**18
"""Elements at a time: what fits into a processor's caches."""


def _rows(tensor: Tensor, dim: int) -> Tensor:
    """A row per position of a dim, float32 at least."""
    values = tensor.detach()
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    return values.movedim(dim, 0).reshape(tensor.shape[dim], -1)


def _to_host(norms: Sequence[Tensor]) -> list[FloatArray]:
    """All of them as float64 arrays; from one device, in one transfer."""
    if len({(part.device, part.dtype) for part in norms}) > 1:
        return [part.cpu().double().numpy() for part in norms]
    together = torch.cat([*norms]).cpu().double().numpy() if norms else np.zeros(0)
    ends = np.cumsum([len(part) for part in norms]).tolist()
    return [together[end - len(part) : end] for part, end in zip(norms, ends, strict=True)]


def _is_safe(norms: FloatArray) -> bool:
    """Whether no square that counts can have left the range of numbers: then dividing first would change nothing."""
    return bool(norms.min() > _SAFE) and bool(norms.max() < 1 / _SAFE)


_SAFE = 1e-9


def _scaled_norms(values: Tensor, p: float) -> Tensor:
    # Powers of numbers below 1 cannot overflow, and those that underflow do not count. A power of two is divided by
    # without rounding; 2^127 is the largest in single precision.
    exponent = torch.frexp(values.abs().amax()).exponent.clamp(max=127)
    scale = torch.ldexp(values.new_ones(()), exponent)
    norms: Tensor = torch.linalg.vector_norm(values / scale, ord=p, dim=1) * scale
    return norms


def _combined(axes: Sequence[Axis], members: Sequence[Sequence[Member]], norms: _Norms, p: float) -> list[FloatArray]:
    """The norms over all positions of each unit [size]; added up on the CPU, where the order is always the same."""
    if not axes:
        return []
    sizes = np.array([axis.size for axis in axes])
    starts = np.cumsum(sizes) - sizes
    parts = [[norms.of(member) for member in own] for own in members]
    entries = np.concatenate([part for own in parts for part in own])
    counts = np.array([sum(len(part) for part in own) for own in parts])
    units = np.concatenate([member.units for own in members for member in own]) + np.repeat(starts, counts)
    combined = np.zeros(int(sizes.sum()))
    if math.isinf(p):
        with np.errstate(invalid="ignore"):  # NaN is refused with all other scores that are not finite
            np.maximum.at(combined, units, entries)
    else:
        largest = np.maximum.reduceat(entries, np.cumsum(counts) - counts)
        scales = np.ldexp(1.0, np.frexp(largest)[1])
        np.add.at(combined, units, (entries / np.repeat(scales, counts)) ** p)
        combined = combined ** (1 / p) * np.repeat(scales, sizes)
    return [combined[start : start + size] for start, size in zip(starts.tolist(), sizes.tolist(), strict=True)]
