"""How much of what the next layer computes comes from each unit."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from secateurs import _distributed
from secateurs._errors import ConfigError, PlanError
from secateurs.criteria._criterion import Criterion, Loss
from secateurs.criteria._data import Batch, read_batches
from secateurs.criteria._readings import Place, Reading, are_modules, watched_modules, watched_operators
from secateurs.criteria._registry import register
from secateurs.criteria._sharing import Parts
from secateurs.graph import Axis, Graph, Member, tensors_of, untouched

__all__ = ["Contribution"]

_WHO = "criterion 'contribution'"


@final
@register("contribution")
@dataclass(frozen=True, kw_only=True)
class Contribution(Criterion):
    """Rank units by their share in what the next layer's units sum up: activations times weights, no gradient.

    The share of unit k in unit j of the next layer, for input f, is

        c(k, j, f) = |w_jk a_kf| / sum_i |w_ji a_if|,    0 where the sum is 0,

    and the score is `average` times its mean over all f and j, plus `maximum` times its maximum. Activations are what
    the next layer reads, after nonlinearity, normalisation and pooling. A unit read at several places (a channel
    that is flattened, the offsets of a convolution's kernel) has the sum of their shares; every position of a
    convolution's output and every token counts like an image of its own. Means are over the outputs of all weights
    that read the unit.

    All batches are streamed through the model in evaluation mode, with a few numbers per unit as memory. The mean
    costs two matrix products per linear map read from, or a convolution and its gradient; the maximum costs a
    product or convolution with each unit by itself on top.

    Weights are observed in any convolution or matrix product. One that is read otherwise (by a recurrent layer, or
    after it was made into another tensor) is left out if others read the same units, and else refused. Units that no
    weight reads (queries and keys, branches of a sum) get their share in the magnitude of the axis's own weights.

    Source: the description of importance-based train-time pruning, whose code takes absolute values, activations
    before the nonlinearity (`pre_activation`) and the last batch alone.

    Args:
        average: weight of the mean.
        maximum: weight of the maximum.
        signed: w a in the place of |w a|, above and below the line; the shares of all i in j still sum to 1, but one
            share has no bounds where terms cancel.
        pre_activation: take the output of the layer that produces the units, where the next layer reads a tensor of
            the same shape: a unit that a ReLU silences can then rank high.

    Raises:
        ConfigError: weights that are negative or both 0.
        PlanError: when called, no batches, or an axis that is read by weights that cannot be observed.
    """

    reduces: ClassVar[bool] = True
    average: float = 1.0
    maximum: float = 0.0
    signed: bool = False
    pre_activation: bool = False

    def __post_init__(self) -> None:
        weights = {"average": self.average, "maximum": self.maximum}
        for name, value in weights.items():
            if not 0 <= value < float("inf"):
                raise ConfigError(f"{_WHO} {name}", wanted="0 or more", got=repr(value), cure=f"Correct {name}.")
        if not any(weights.values()):
            got, cure = "0 for both", "Leave average at 1 for the mean contribution."
            raise ConfigError(f"{_WHO} average, maximum", wanted="one above 0", got=got, cure=cure)

    def score(
        self,
        graph: Graph,
        batches: Iterable[Any] | None,
        loss: Loss | None,  # noqa: ARG002 - of the interface
    ) -> Mapping[str, Tensor]:
        """See the class."""
        columns = {axis.name: _columns(axis) for axis in graph.axes}
        places = list(dict.fromkeys(place for own in columns.values() for place in own))
        simple = are_modules(graph, places)
        if self.pre_activation and not simple:
            _refuse_pre_activation(graph, places)
        tallies = self._tallies(graph, columns)
        with untouched(graph.model):
            for number, batch in enumerate(read_batches(batches, _WHO, _device(graph))):
                self._look(graph, batch, tallies, by_operator=not simple)
                if number == 0 and simple and not all(tally.calls for tally in tallies.values()):
                    # Some weight is not used by the module that has it: look again, at operators.
                    simple, tallies = self.pre_activation, self._tallies(graph, columns)
                    self._look(graph, batch, tallies, by_operator=not simple)
        _reduce(list(tallies.values()))
        return {axis.name: self._score(graph, axis, columns[axis.name], tallies) for axis in graph.axes}

    def _tallies(self, graph: Graph, columns: Mapping[str, "_Columns"]) -> dict[Place, "_Tally"]:
        tallies: dict[Place, _Tally] = {}
        for name, own in columns.items():
            for place, units in own.items():
                weight = graph.tensor(place.path)
                tally = tallies.setdefault(place, _Tally(sums=_zeros(weight.shape[place.dim], weight)))
                if self.maximum:
                    tally.units[name] = torch.from_numpy(units).to(weight.device)
                    tally.highest[name] = _zeros(len(units), weight) - torch.inf
        return tallies

    def _look(self, graph: Graph, batch: Batch, tallies: Mapping[Place, "_Tally"], *, by_operator: bool) -> None:
        def take(reading: Reading) -> None:
            tallies[reading.place].add(reading.first, Parts(reading, signed=self.signed), mean=self.average > 0)

        before = _producers(graph) if self.pre_activation else {}
        places = list(tallies)
        watch = (
            watched_operators(graph, places, take)
            if by_operator
            else watched_modules(graph, places, take, before=before)
        )
        with watch:
            batch.outputs(graph.model)

    def _score(self, graph: Graph, axis: Axis, columns: "_Columns", tallies: Mapping[Place, "_Tally"]) -> Tensor:
        if not columns:
            return _own_magnitude(graph, axis)
        read = {place: units for place, units in columns.items() if tallies[place].rows}
        if not read:
            names = ", ".join(place.path for place in columns)
            cure = "It may be of a kind that this criterion cannot look into; take another one for this model."
            raise PlanError(
                f"{_WHO}, axis {axis.name!r}",
                wanted=f"to see {names} read something",
                got="no such operator",
                cure=cure,
            )
        score = torch.zeros(axis.size, dtype=torch.float64)
        if self.average:
            sums = sum(tallies[place].sums_of(units) for place, units in read.items())
            readers = sum(tallies[place].readers_of(units) for place, units in read.items())
            score += self.average * torch.as_tensor(sums / np.maximum(readers, 1))
        if self.maximum:
            highest = torch.stack([tallies[place].highest[axis.name] for place in read]).amax(0).cpu()
            # A unit that none of these reads contributes nothing to them.
            score += self.maximum * torch.where(highest.isfinite(), highest, 0)
        return score


_Columns = Mapping[Place, npt.NDArray[np.int64]]
"""Where an axis is read: [units, n] positions on the dim that reads, -1 where a unit has fewer than others."""


@dataclass(kw_only=True)
class _Tally:
    """What has been seen of one weight so far.

    Attributes:
        sums: float64 [positions of the dim], contributions summed over rows and outputs.
        calls: how often it was seen.
        rows: how many rows were summed.
        outputs: outputs that read an input.
        units: positions of every unit, by axis; only where maxima are asked for.
        highest: float64 [units], by axis.
    """

    sums: Tensor
    calls: int = 0
    rows: int = 0
    outputs: int = 0
    units: dict[str, Tensor] = field(default_factory=dict)
    highest: dict[str, Tensor] = field(default_factory=dict)

    def add(self, first: int, parts: Parts, *, mean: bool) -> None:
        """Take one call into account; its inputs meet positions from `first` on."""
        self.calls, self.rows, self.outputs = self.calls + 1, self.rows + parts.rows, parts.outputs
        if not parts.rows:  # of an empty batch, which has no maximum
            return
        if mean:
            found = parts.sums()
            self.sums[first : first + len(found)] += found
        for name, units in self.units.items():
            inside = (units >= first) & (units < first + parts.inputs)
            found = parts.highest(torch.where(inside, units - first, -1))
            self.highest[name] = torch.maximum(self.highest[name], found)

    def sums_of(self, units: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The mean over rows of every unit's contributions, summed over outputs."""
        padded = np.append(self.sums.cpu().numpy(), 0.0) / self.rows
        found: npt.NDArray[np.float64] = padded[units].sum(1)
        return found

    def readers_of(self, units: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """How many outputs read each unit."""
        return np.where((units >= 0).any(1), self.outputs, 0)


def _reduce(tallies: Sequence[_Tally]) -> None:
    """Over all ranks: sums add up, of maxima the largest counts."""
    rows = torch.tensor([tally.rows for tally in tallies])
    outputs = torch.tensor([tally.outputs for tally in tallies])
    _distributed.all_reduce([rows, *(tally.sums for tally in tallies)])
    _distributed.all_reduce([outputs, *(found for tally in tallies for found in tally.highest.values())], "max")
    for tally, row, output in zip(tallies, rows.tolist(), outputs.tolist(), strict=True):
        tally.rows, tally.outputs = row, output


def _columns(axis: Axis) -> _Columns:
    readers: dict[Place, list[Member]] = {}
    for member in axis.members:
        if member.role == "reads":
            readers.setdefault(Place(path=member.path, dim=member.dim), []).append(member)
    return {place: _by_unit(axis.size, members) for place, members in readers.items()}


def _by_unit(size: int, members: Sequence[Member]) -> npt.NDArray[np.int64]:
    units = np.concatenate([member.units for member in members])
    positions = np.concatenate([member.positions for member in members])
    order = np.argsort(units, kind="stable")
    units, positions = units[order], positions[order]
    counts = np.bincount(units, minlength=size)
    table = np.full((size, counts.max()), -1, dtype=np.int64)
    table[units, np.arange(len(units)) - np.repeat(np.cumsum(counts) - counts, counts)] = positions
    return table


def _producers(graph: Graph) -> dict[Place, str]:
    """The weight that makes what a place reads, where a single one makes all of it."""
    makers: dict[Place, set[str]] = {}
    for axis in graph.axes:
        own = {member.path for member in axis.members if member.role == "produces"}
        for place in _columns(axis):
            makers.setdefault(place, set()).update(own)
    return {place: next(iter(paths)) for place, paths in makers.items() if len(paths) == 1}


def _own_magnitude(graph: Graph, axis: Axis) -> Tensor:
    """Each unit's share in the sum of squares of the axis's weights."""
    squares = torch.zeros(axis.size, dtype=torch.float64)
    for member in axis.members:
        weight = graph.tensor(member.path).detach().double().cpu().movedim(member.dim, 0)
        found = weight.reshape(len(weight), -1).square().sum(1)
        squares.index_add_(0, torch.from_numpy(member.units), found[torch.from_numpy(member.positions)])
    return squares / squares.sum().clamp(min=torch.finfo(torch.float64).tiny)


def _refuse_pre_activation(graph: Graph, places: Sequence[Place]) -> None:
    raise PlanError(
        f"{_WHO}, {type(graph.model).__name__}",
        wanted="convolution and linear modules for all that reads, to take the outputs of those before them",
        got="other layers among " + ", ".join(place.path for place in places),
        cure="Leave pre_activation out.",
    )


def _device(graph: Graph) -> torch.device:
    return next((tensor.device for tensor in tensors_of(graph.model).values()), torch.device("cpu"))


def _zeros(size: int, like: Tensor) -> Tensor:
    return torch.zeros(size, dtype=torch.float64, device=like.device)
