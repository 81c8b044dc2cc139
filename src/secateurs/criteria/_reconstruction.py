"""What the layers that read a unit could not make up for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from secateurs._errors import ConfigError
from secateurs.criteria._criterion import Criterion, Loss
from secateurs.criteria._reading_moments import ReadMoments, read_moments
from secateurs.criteria._registry import register
from secateurs.graph import Axis, Graph

__all__ = ["Reconstruction"]

_ROUNDS = 64
"""Of wider axes several units go at a time, since each round goes through all of C^-1."""


@final
@register("reconstruction")
@dataclass(frozen=True, kw_only=True)
class Reconstruction(Criterion):
    """The increase of the least-squares error of all that reads a unit, when it goes and the rest makes up for it,

        s_u = sum over readers W of  tr(W_u [(C^-1)_uu]^-1 W_u') / tr(W C W')

    with C the covariance of what W reads (patches, channel x kernel offset), u the columns of the unit, W_u and
    (C^-1)_uu those parts, and all of it as the units that went before have left it: of every axis the unit with the
    lowest s_u goes first (a 64th of the units of an axis with more than 127), the others' weights and C^-1 follow in
    closed form, and so on. What `repair` fits afterwards
    has that error. Shares of the variance that a reader gives, so that they compare across axes; a unit never has less
    than one that goes before it.

    Units that no weight reads (branches of sums, queries and keys) have the share of the variance of what makes them.

    One forward pass, and second moments of each layer: as many multiply-adds as a layer whose outputs are as many as
    its inputs (channel x offset) at `rows` places. Memory: 8 D^2 bytes for each layer with D inputs at once, of patches
    up to `moments_bytes`, above that of channels alone.

    Sources: Hassibi and Stork, Second Order Derivatives for Network Pruning: Optimal Brain Surgeon, 1993; in groups
    of columns as in Kurtic et al., ZipLM, 2023.

    Args:
        ridge: added to C, over its mean variance.
        rows: how many patches of a layer are looked at, or 64 for each input if that is more.
        moments_bytes: the most that one layer's moments take.

    Raises:
        ConfigError: a number that makes no sense.
        PlanError: when called, no batches.
    """

    harm: ClassVar[bool] = True
    ridge: float = 1e-3
    rows: int = 2**16
    moments_bytes: int = 2**28

    def __post_init__(self) -> None:
        for name in ("ridge", "rows", "moments_bytes"):
            if not getattr(self, name) > 0:
                where, got = f"criterion 'reconstruction' {name}", repr(getattr(self, name))
                raise ConfigError(where, wanted="more than 0", got=got, cure="The defaults suit most networks.")

    def score(self, graph: Graph, batches: Iterable[Any] | None, loss: Loss | None) -> Mapping[str, Tensor]:  # noqa: ARG002
        """See the class."""
        moments = read_moments(graph, batches, rows=self.rows, moments_bytes=self.moments_bytes)
        return {axis.name: self._of(axis, moments) for axis in graph.axes}

    def _of(self, axis: Axis, moments: Mapping[str, ReadMoments]) -> Tensor:
        readers = [
            _reader(moments[member.path], _columns(moments[member.path], axis, member.path), self.ridge)
            for member in axis.members
            if member.role == "reads" and member.path in moments and member.dim == moments[member.path].reads
        ]
        return _greedy(axis.size, readers) if readers else _shares(axis, moments)


def _columns(own: ReadMoments, axis: Axis, path: str) -> Tensor:
    """Units [positions]: the unit of the axis at each position that the weight reads, -1 for none."""
    units = torch.full((own.width,), -1, dtype=torch.int64)
    for member in axis.members:
        if member.path == path and member.dim == own.reads and member.role == "reads":
            units[torch.from_numpy(member.positions)] = torch.from_numpy(member.units)
    return units.to(own.covariance.device)


class _Reader:
    """A weight and the inverse covariance of what it reads, as units go.

    Args:
        inverse: [groups, columns, columns].
        weight: [groups, rows, columns].
        scale: factor on errors.
        places: of each unit, its columns.
    """

    def __init__(self, inverse: Tensor, weight: Tensor, scale: float, places: dict[int, Tensor]) -> None:
        self._inverse, self._weight, self._scale, self._places = inverse, weight, scale, places

    def part(self, units: list[int]) -> "_Reader":
        """Of some units alone: what it says of them, and goes on to say as they go, is the same."""
        own = [(unit, self._places[unit]) for unit in units if unit in self._places]
        here = torch.cat([places for _, places in own]) if own else torch.zeros(0, dtype=torch.int64)
        here = here.to(self._inverse.device)
        ends = torch.arange(len(here), device=here.device).split([len(places) for _, places in own])
        places = {unit: columns for (unit, _), columns in zip(own, ends, strict=True)}
        return _Reader(self._inverse[:, here[:, None], here], self._weight[:, :, here], self._scale, places)

    def errors(self, size: int) -> Tensor:
        """Of every unit, what its going would add; 0 for units that are not read here."""
        found = torch.zeros(size, dtype=torch.float64)
        by_count: dict[int, list[int]] = {}
        for unit, places in self._places.items():
            by_count.setdefault(len(places), []).append(unit)
        for units in by_count.values():
            places = torch.stack([self._places[unit] for unit in units])
            blocks = self._inverse[:, places[:, :, None], places[:, None, :]]
            weights = self._weight[:, :, places].movedim(2, 1)
            solved = torch.linalg.solve(blocks, weights.mT)
            found[units] = self._scale * (weights.mT * solved).sum((0, 2, 3)).cpu()
        return found

    def remove(self, units: list[int]) -> None:
        """Let the other inputs make up for some units."""
        own = [self._places.pop(unit) for unit in units if unit in self._places]
        if not own:
            return
        places = torch.cat(own)
        rows = self._inverse[:, places]
        solved = torch.linalg.solve(rows[:, :, places], rows)
        self._weight -= self._weight[:, :, places] @ solved
        self._inverse -= rows.mT @ solved
        self._weight[:, :, places] = 0


def _reader(own: ReadMoments, units: Tensor, ridge: float) -> _Reader:
    covariance = own.covariance
    scale = covariance.diagonal(dim1=1, dim2=2).mean(1).clamp(min=torch.finfo(torch.float64).tiny)
    eye = torch.eye(covariance.shape[1], dtype=torch.float64, device=covariance.device)
    inverse = torch.linalg.inv(covariance + (ridge * scale)[:, None, None] * eye)
    total = float(((own.weight @ covariance) * own.weight).sum())
    each = units.repeat_interleave(own.offsets)
    places = {int(unit): (each == unit).nonzero()[:, 0] for unit in units.unique() if unit >= 0}
    return _Reader(inverse, own.weight.clone(), 1 / total if total > 0 else 0.0, places)


def _greedy(size: int, readers: list[_Reader]) -> Tensor:
    """Scores in the order in which units go."""
    scores, left, highest = torch.zeros(size, dtype=torch.float64), list(range(size)), 0.0
    step = max(1, size // _ROUNDS)
    while left:
        errors = _errors(size, readers)
        near = sorted(left, key=lambda unit: float(errors[unit]))[: 2 * step]
        parts = [reader.part(near) for reader in readers] if step > 1 else []
        gone: list[int] = []
        while len(gone) < min(step, len(left)):
            errors = _errors(size, parts) if gone else errors
            unit = min((unit for unit in near if unit not in gone), key=lambda unit: float(errors[unit]))
            highest = max(highest, float(errors[unit]))
            scores[unit] = highest
            gone.append(unit)
            for part in parts:
                part.remove([unit])
        left = [unit for unit in left if unit not in gone]
        for reader in readers:
            reader.remove(gone)
    return scores


def _errors(size: int, readers: list[_Reader]) -> Tensor:
    return torch.stack([reader.errors(size) for reader in readers]).sum(0)


def _shares(axis: Axis, moments: Mapping[str, ReadMoments]) -> Tensor:
    """Of the variance of what makes the units."""
    found = torch.zeros(axis.size, dtype=torch.float64)
    for member in axis.members:
        own = moments.get(member.path)
        if own is None or member.role != "produces" or member.dim != 1 - own.reads:
            continue
        variances = ((own.weight @ own.covariance) * own.weight).sum(2).reshape(own.outputs, -1).sum(1).cpu()
        total = float(variances.sum())
        if total > 0:
            found.index_add_(0, torch.from_numpy(member.units), variances[torch.from_numpy(member.positions)] / total)
    return found
