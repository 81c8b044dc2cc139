"""What the layers that read a unit could not make up for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from secateurs._errors import ConfigError
from secateurs.criteria._criterion import Criterion, Loss
from secateurs.criteria._reading_moments import ReadMoments, read_moments
from secateurs.criteria._registry import register
from secateurs.graph import Axis, Graph

__all__ = ["Reconstruction"]


@final
@register("reconstruction")
@dataclass(frozen=True, kw_only=True)
class Reconstruction(Criterion):
    """The increase of the least-squares error of all that reads a unit, when it goes and the rest makes up for it,

        s_u = sum over readers W of  tr(W_u [(C^-1)_uu]^-1 W_u') / tr(W C W')

    with C the covariance of what W reads (patches, channel x kernel offset), u the columns of the unit, W_u and
    (C^-1)_uu those parts, and all of it as the units that went before have left it: of every axis the unit with the
    lowest s_u goes first, the others' weights and C^-1 follow in closed form, and so on. What `repair` fits afterwards
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
            _Reader(moments[member.path], _columns(moments[member.path], axis, member.path), self.ridge)
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
    """A weight and the inverse covariance of what it reads, as units go."""

    def __init__(self, own: ReadMoments, units: Tensor, ridge: float) -> None:
        covariance = own.covariance
        scale = covariance.diagonal(dim1=1, dim2=2).mean(1).clamp(min=torch.finfo(torch.float64).tiny)
        eye = torch.eye(covariance.shape[1], dtype=torch.float64, device=covariance.device)
        damped = covariance + (ridge * scale)[:, None, None] * eye
        self._inverse = torch.linalg.inv(damped)
        self._weight = own.weight.clone()
        total = float(((self._weight @ covariance) * self._weight).sum())
        self._scale = 1 / total if total > 0 else 0.0
        each = units.repeat_interleave(own.offsets)
        self._places = {int(u): (each == u).nonzero()[:, 0] for u in units.unique() if u >= 0}

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

    def remove(self, unit: int) -> None:
        """Let the other inputs make up for a unit."""
        places = self._places.pop(unit, None)
        if places is None:
            return
        rows = self._inverse[:, places]
        solved = torch.linalg.solve(rows[:, :, places], rows)
        self._weight -= self._weight[:, :, places] @ solved
        self._inverse -= rows.mT @ solved
        self._weight[:, :, places] = 0


def _greedy(size: int, readers: list[_Reader]) -> Tensor:
    """Scores in the order in which units go."""
    scores, left, highest = torch.zeros(size, dtype=torch.float64), torch.ones(size, dtype=torch.bool), 0.0
    for _ in range(size):
        errors = torch.stack([reader.errors(size) for reader in readers]).sum(0)
        unit = int(torch.where(left, errors, torch.inf).argmin())
        highest = max(highest, float(errors[unit]))
        scores[unit], left[unit] = highest, False
        for reader in readers:
            reader.remove(unit)
    return scores


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
