"""What may go from each axis, and in which order."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from torch import Tensor

from secateurs._errors import PlanError
from secateurs._nearest import nearest_hint
from secateurs.criteria import Scores
from secateurs.graph import Axis, Graph
from secateurs.selection._budget import checked_ratio, exact

__all__ = ["Candidate", "Limits", "candidates"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many units of an axis may stay.

    Attributes:
        floor: units that stay at least, or the fraction of the axis that does.
        multiple_of: what the kept count of an axis that loses units is a multiple of.
        cap: fraction of the axis that goes at most; any, if None.
    """

    floor: float = 1
    multiple_of: int = 1
    cap: float | None = None

    def __post_init__(self) -> None:
        floor, multiple = self.floor, self.multiple_of
        ratio = isinstance(floor, float) and 0 < floor < 1
        if not ratio and (isinstance(floor, bool) or not isinstance(floor, int) or floor < 1):
            cure = "Say how many units every axis keeps at least."
            raise PlanError("floor", wanted="an integer of at least 1 or a ratio in (0, 1)", got=repr(floor), cure=cure)
        if isinstance(multiple, bool) or not isinstance(multiple, int) or multiple < 1:
            cure = "1 allows every count; 8 suits tensor cores."
            raise PlanError("multiple_of", wanted="an integer of at least 1", got=repr(multiple), cure=cure)
        if self.cap is not None:
            checked_ratio(self.cap, "cap")

    def levels(self, size: int) -> npt.NDArray[np.int64]:
        """How many units an axis of that size may lose, ascending; 0 always may."""
        floor = math.ceil(exact(self.floor) * size) if isinstance(self.floor, float) else self.floor
        if self.cap is not None:
            floor = max(floor, size - math.floor(exact(self.cap) * size))
        least = -(-floor // self.multiple_of) * self.multiple_of
        removed = size - np.arange(least, size, self.multiple_of, dtype=np.int64)
        return np.concatenate([np.zeros(1, dtype=np.int64), removed[::-1]])


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """An axis that takes part, or axes that are cut by equal shares: in steps, from the lowest scores up.

    Attributes:
        axes: one or several.
        orders: per axis int array [size], its units by ascending score, equal ones by index.
        scores: float64 array [steps], the mean score of the units that a step removes, ascending.
        levels: how many steps may go, ascending from 0.
    """

    axes: tuple[Axis, ...]
    orders: tuple[npt.NDArray[np.int64], ...]
    scores: npt.NDArray[np.float64]
    levels: npt.NDArray[np.int64]

    @property
    def steps(self) -> int:
        """All steps there are; the units of a single axis."""
        return len(self.scores)

    @property
    def width(self) -> int:
        """How many units a step removes."""
        return sum(axis.size for axis in self.axes) // self.steps

    def atoms(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """The roots of all units that the steps from `start` to `stop` remove, step by step."""
        own = [
            axis.atoms[order].reshape(self.steps, -1)[start:stop]
            for axis, order in zip(self.axes, self.orders, strict=True)
        ]
        return np.concatenate(own, axis=1).reshape(-1)


def candidates(
    graph: Graph,
    scores: Mapping[str, Tensor],
    axes: Sequence[Axis],
    limits: Mapping[str, Limits],
) -> tuple[Candidate, ...]:
    """The axes that take part, with their scores checked and sorted; coupled ones as one candidate.

    Args:
        limits: axis name to how many of its units may stay.

    Raises:
        PlanError: scores of an axis that the graph does not have, or of the wrong shape, not finite or missing for
            one that takes part.
    """
    names = {axis.name for axis in graph.axes}
    for name in scores:
        if name not in names:
            cure = nearest_hint(name, sorted(names), "print(graph) lists all axes.")
            raise PlanError(f"scores[{name!r}]", wanted="the name of an axis", got="no such axis", cure=cure)
    checked = Scores({axis.name: scores[axis.name] for axis in axes if axis.name in scores}, axes)
    coupled = {name: coupling for coupling in graph.couplings for name in coupling.shares}
    found = []
    for axis in axes:
        coupling = coupled.get(axis.name)
        together = (axis,) if coupling is None else tuple(graph[name] for name in coupling.shares)
        if axis is together[0]:
            steps = axis.size if coupling is None else coupling.steps
            found.append(_candidate(together, steps, checked, tuple(limits[one.name] for one in together)))
    return tuple(found)


def _candidate(
    axes: tuple[Axis, ...], steps: int, scores: Mapping[str, Tensor], limits: tuple[Limits, ...]
) -> Candidate:
    orders, means = [], []
    for axis in axes:
        values = scores[axis.name].cpu().double().numpy()
        order = np.argsort(values, kind="stable")
        orders.append(order)
        means.append(values[order] if steps == axis.size else values[order].reshape(steps, -1).mean(1))
    together = means[0] if len(means) == 1 else np.mean(means, axis=0)
    levels = _levels(limits, tuple(axis.size for axis in axes), steps)
    return Candidate(axes=axes, orders=tuple(orders), scores=together, levels=levels)


@lru_cache(maxsize=256)
def _levels(limits: tuple[Limits, ...], sizes: tuple[int, ...], steps: int) -> npt.NDArray[np.int64]:
    """How many steps may go; the same for the many axes of one size."""
    levels = np.arange(steps, dtype=np.int64)
    for own, size in zip(limits, sizes, strict=True):
        levels = levels[np.isin(levels * (size // steps), own.levels(size))]
    levels.flags.writeable = False
    return levels
