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
        known: dict[tuple[str, int], FloatArray] = {}
        return {axis.name: self._score(graph, axis, known) for axis in graph.axes}

    def _score(self, graph: Graph, axis: Axis, known: dict[tuple[str, int], FloatArray]) -> Tensor:
        members = _producers(graph, axis)
        tensors = [graph.tensor(member.path) for member in members]
        for tensor, member in zip(tensors, members, strict=True):
            if (member.path, member.dim) not in known:  # a producer of a sum makes a stream and a branch
                known[member.path, member.dim] = _norms(tensor, member, self.p)
        norms = [known[member.path, member.dim][member.positions] for member in members]
        units = np.concatenate([member.units for member in members])
        scores = _combine(np.concatenate(norms), units, axis.size, self.p)
        if self.normalize is not None:
            divisor = float(scores.mean() if self.normalize == "mean" else scores.max())
            scores = scores / (divisor if divisor != 0 else 1.0)
        double = any(tensor.dtype == torch.float64 for tensor in tensors)
        return torch.from_numpy(scores).to(torch.float64 if double else torch.float32)


def _producers(graph: Graph, axis: Axis) -> Sequence[Member]:
    """The members whose weights count."""
    producing = [member for member in axis.members if member.role == "produces"]
    if producing:
        return producing
    return [member for member in axis.members if isinstance(graph.tensor(member.path), nn.Parameter)] or axis.members


@torch.no_grad()
def _norms(tensor: Tensor, member: Member, p: float) -> FloatArray:
    """The norm over all other dims, at each position of the member's dim; float32 at least."""
    if tensor.is_meta:
        cure = "Load the model's weights before scoring."
        raise PlanError(member.path, wanted="weights with values", got="a meta tensor", cure=cure)
    values = tensor.detach()
    values = values.to(torch.promote_types(values.dtype, torch.float32)).movedim(member.dim, 0)
    values = values.reshape(len(values), -1)
    norms = torch.linalg.vector_norm(values, ord=p, dim=1)
    if p > 2 or not _is_safe(norms):
        norms = _scaled_norms(values, p)
    per_position: FloatArray = norms.cpu().double().numpy()
    return per_position


def _is_safe(norms: Tensor) -> bool:
    """Whether no square that counts can have left the range of numbers: then dividing first would change nothing."""
    lowest, highest = norms.aminmax()
    return bool(lowest > _SAFE) and bool(highest < 1 / _SAFE)


_SAFE = 1e-9


def _scaled_norms(values: Tensor, p: float) -> Tensor:
    # Powers of numbers below 1 cannot overflow, and those that underflow do not count. A power of two is divided by
    # without rounding; 2^127 is the largest in single precision.
    exponent = torch.frexp(values.abs().amax()).exponent.clamp(max=127)
    scale = torch.ldexp(values.new_ones(()), exponent)
    norms: Tensor = torch.linalg.vector_norm(values / scale, ord=p, dim=1) * scale
    return norms


def _combine(norms: FloatArray, units: npt.NDArray[np.int64], size: int, p: float) -> FloatArray:
    """The norm over all positions of each unit [size]; added up on the CPU, where the order is always the same."""
    combined = np.zeros(size)
    if math.isinf(p):
        with np.errstate(invalid="ignore"):  # NaN is refused with all other scores that are not finite
            np.maximum.at(combined, units, norms)
        return combined
    scale = float(np.ldexp(1.0, np.frexp(norms.max())[1]))
    np.add.at(combined, units, (norms / scale) ** p)
    return np.asarray(combined ** (1 / p) * scale)
