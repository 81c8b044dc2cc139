"""The order of units by importance per cost, each cost taken once all units before it are gone."""

import heapq
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from secateurs.graph import Graph
from secateurs.selection._candidates import Candidate
from secateurs.selection._search import Met
from secateurs.selection._steps import Steps, half_way_scores

__all__ = ["Per", "cost_steps"]

Per: TypeAlias = Literal["macs", "params"]
BoolArray = npt.NDArray[np.bool_]
_EVERY = 32
"""Steps between two looks at the budget."""


def cost_steps(graph: Graph, candidates: Sequence[Candidate], per: Per, met: Met) -> Steps:
    """Always the step next whose units score lowest for what they cost; until the budget is met, or to the end.

    What a unit costs is what the model loses with it then, counted exactly: it falls as others go. So a ratio once
    computed can only grow, and only the lowest one is computed again (lazy greedy search; Minoux, 1978).
    """
    removed = graph.removed_roots({})
    order = _Order(candidates, _counter(graph, per), removed)
    taken: list[tuple[int, int]] = []
    while (step := order.next()) is not None:
        taken.append(step)
        if len(taken) % _EVERY == 0 and met(removed):
            break
    return _as_steps(candidates, taken)


def _counter(graph: Graph, per: Per) -> Callable[[BoolArray], int]:
    return graph.counts.macs if per == "macs" else lambda removed: graph.counts.count(removed)["params"]


class _Order:
    """Steps of all candidates, lowest ratio first; marks in `removed` what they take."""

    def __init__(self, candidates: Sequence[Candidate], count: Callable[[BoolArray], int], removed: BoolArray) -> None:
        self._candidates, self._count, self._removed = candidates, count, removed
        self._scores = [half_way_scores(candidate) for candidate in candidates]
        self._now, self._taken = count(removed), 0
        self._left = [(-1, 0)] * len(candidates)
        """Of each candidate's next step: after how many taken it was counted, and what the model costs without it."""
        self._heap = [(self._ratio(number, 0), number, 0) for number, own in enumerate(self._scores) if len(own)]
        heapq.heapify(self._heap)

    def next(self) -> tuple[int, int] | None:
        """The candidate and which of its steps goes next; None where nothing is left."""
        while self._heap:
            _, number, step = self._heap[0]
            counted, left = self._left[number]
            if counted < self._taken:
                heapq.heapreplace(self._heap, (self._ratio(number, step), number, step))
            else:  # fresh, and no other can be lower than the ratio known of it
                self._take(number, step, left)
                return number, step
        return None

    def _take(self, number: int, step: int, left: int) -> None:
        self._removed[self._atoms(number, step)] = True
        self._now, self._taken = left, self._taken + 1
        if step + 1 < len(self._scores[number]):
            heapq.heapreplace(self._heap, (self._ratio(number, step + 1), number, step + 1))
        else:
            heapq.heappop(self._heap)

    def _atoms(self, number: int, step: int) -> npt.NDArray[np.int64]:
        candidate = self._candidates[number]
        return candidate.atoms(int(candidate.levels[step]), int(candidate.levels[step + 1]))

    def _ratio(self, number: int, step: int) -> float:
        """Importance per cost of a unit of the step."""
        atoms = self._atoms(number, step)
        self._removed[atoms] = True
        left = self._count(self._removed)
        self._removed[atoms] = False
        self._left[number] = (self._taken, left)
        return _importance_per(float(self._scores[number][step]), (self._now - left) / len(atoms))


def _importance_per(score: float, cost: float) -> float:
    """Of units whose going is a gain, the dearer goes first; one that saves nothing goes last."""
    if cost <= 0:
        return float("inf")
    return score / cost if score >= 0 else score * cost


def _as_steps(candidates: Sequence[Candidate], taken: Sequence[tuple[int, int]]) -> Steps:
    atoms = []
    for number, step in taken:
        levels = candidates[number].levels
        atoms.append(candidates[number].atoms(int(levels[step]), int(levels[step + 1])))
    empty = np.zeros(0, dtype=np.int64)
    starts = np.cumsum([0, *(len(block) for block in atoms)], dtype=np.int64)
    numbers = np.array([number for number, _ in taken], dtype=np.int64)
    return Steps(candidate=numbers, starts=starts, atoms=np.concatenate([empty, *atoms]))
