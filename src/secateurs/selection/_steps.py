"""The order in which units go, over all axes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from secateurs.selection._candidates import Candidate

__all__ = ["Steps", "global_steps", "half_way_scores", "layerwise_steps"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Steps:
    """Blocks of units in the order in which they go; those of one candidate lead from each allowed count to the next.

    Attributes:
        candidate: int array [steps], the number of the candidate that each step takes units from.
        starts: int array [steps + 1], where the atoms of each step begin.
        atoms: int array [units], the roots that go, step after step.
    """

    candidate: IntArray
    starts: IntArray
    atoms: IntArray

    def __len__(self) -> int:
        return len(self.candidate)


def global_steps(candidates: Sequence[Candidate]) -> Steps:
    """All units in one order of ascending score; equal ones by axis, then by index.

    Counts in between two allowed ones are rounded to the nearer, half-way to the one that keeps more: a step comes
    where its axis has more units below the threshold than half-way.
    """
    return _sorted(candidates, [half_way_scores(candidate) for candidate in candidates])


def layerwise_steps(candidates: Sequence[Candidate]) -> Steps:
    """The same share of every axis: a step comes where that share passes half-way between two allowed counts."""
    return _sorted(candidates, [_half_way(candidate) / (2 * candidate.steps) for candidate in candidates])


def half_way_scores(candidate: Candidate) -> npt.NDArray[np.float64]:
    """The score of each step: of the unit half-way between the allowed counts that it leads from and to."""
    return candidate.scores[_half_way(candidate) // 2]


def _half_way(candidate: Candidate) -> IntArray:
    """Twice the count half-way between an allowed one and the next."""
    return candidate.levels[:-1] + candidate.levels[1:]


def _sorted(candidates: Sequence[Candidate], keys: Sequence[npt.NDArray[np.float64]]) -> Steps:
    atoms = np.concatenate([c.atoms(0, int(c.levels[-1])) for c in candidates]) if candidates else _NONE
    lengths = np.concatenate([np.diff(c.levels) * c.width for c in candidates]) if candidates else _NONE
    numbers = np.repeat(np.arange(len(candidates)), [len(key) for key in keys])
    # The sort is stable: equal keys stay in the order of axes, and within an axis in that of its units.
    order = np.argsort(np.concatenate(keys) if keys else np.zeros(0), kind="stable")
    before, lengths = np.cumsum(lengths)[order] - lengths[order], lengths[order]
    starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
    taken = np.repeat(before - starts[:-1], lengths) + np.arange(starts[-1])
    return Steps(candidate=numbers[order], starts=starts, atoms=atoms[taken])


_NONE = np.zeros(0, dtype=np.int64)
