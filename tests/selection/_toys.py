"""Traced networks, random scores, and selection done slowly."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from secateurs import models
from secateurs.graph import Graph, Plan, trace
from tests.criteria._toys import TOYS, toy

KEYS = ("macs", "params", "bytes", "units")
Units = set[tuple[int, int]]
"""(number of the axis, unit)"""


@lru_cache
def graph_of(name: str) -> Graph:
    """A graph by name: a toy, a reference network with its width (`resnet8/0.25`), or widths (`4-6-3`)."""
    if name in TOYS:
        return toy(name)[0]
    if "/" in name:
        model, width = name.split("/")
        return trace(models.build(model, width=float(width)), (torch.zeros(1, *models.TABLE[model].input_shape),))
    return mlp([int(width) for width in name.split("-")])


def mlp(widths: Sequence[int]) -> Graph:
    """The graph of a chain of linear layers."""
    layers = [nn.Linear(wide, narrow) for wide, narrow in pairwise(widths)]
    return trace(nn.Sequential(*layers), (torch.zeros(1, widths[0]),))


def graphs() -> st.SearchStrategy[Graph]:
    """Chains of random widths, and networks with sums, groups and heads."""
    named = st.sampled_from(["residual", "grouped", "attention", "resnet8/0.25"]).map(graph_of)
    return named | st.lists(st.integers(2, 12), min_size=3, max_size=5).map(mlp)


def scores_of(graph: Graph, seed: int, *, distinct: int = 1000) -> dict[str, Tensor]:
    """Random scores with at most that many values, so that a small number makes ties."""
    generator = torch.Generator().manual_seed(seed)
    return {axis.name: torch.randint(distinct, (axis.size,), generator=generator).double() for axis in graph.axes}


def figures(graph: Graph, removed: Units) -> dict[str, int]:
    """What stays once these units are gone."""
    atoms = {str(pair): graph.axes[pair[0]].atoms[[pair[1]]] for pair in removed}
    total = sum(axis.size for axis in graph.axes if axis.kind != "branch")
    return {**graph.counts.count(graph.removed_roots(atoms)), "units": total - len(removed)}


def met(graph: Graph, removed: Units, remove: Mapping[str, float]) -> bool:
    """Whether enough is gone."""
    dense, small = figures(graph, set()), figures(graph, removed)
    return all(dense[k] - small[k] >= Fraction(repr(ratio)) * dense[k] for k, ratio in remove.items())


def units_of(plan: Plan) -> Units:
    """What a plan removes."""
    numbers = {name: number for number, name in enumerate(plan.sizes)}
    return {(numbers[name], unit) for name, units in plan.removed.items() for unit in units}


def slow_global(graph: Graph, scores: Mapping[str, Tensor], remove: Mapping[str, float], floor: int) -> Units | None:
    """Global selection from its definition, unit by unit; None where the budget is out of reach."""
    order = sorted(
        (float(scores[axis.name][unit]), number, unit)
        for number, axis in enumerate(graph.axes)
        if axis.kind != "branch"
        for unit in range(axis.size)
    )
    left = {number: axis.size for number, axis in enumerate(graph.axes)}
    removed: Units = set()
    taken = []
    for _, number, unit in order:
        if met(graph, removed, remove):
            break
        if left[number] > floor:
            left[number] -= 1
            taken.append((number, unit))
            removed.add((number, unit))
    if not met(graph, removed, remove):
        return None
    for pair in reversed(taken):
        if met(graph, removed - {pair}, remove):
            removed.discard(pair)
    return removed


def next_smaller_cut(size: int, kept: int, floor: float, multiple_of: int) -> int:
    """The least count above `kept` that an axis of that size may keep."""
    least = math.ceil(Fraction(repr(floor)) * size) if floor < 1 else int(floor)
    allowed = [count for count in range(1, size) if count >= least and count % multiple_of == 0]
    return min(count for count in [*allowed, size] if count > kept)


def best_removed(graph: Graph, scores: Mapping[str, Tensor], removed: Units, number: int) -> list[tuple[int, int]]:
    """The removed units of an axis, the one with the highest score first."""
    values = scores[graph.axes[number].name].numpy()
    own = np.array(sorted(unit for axis, unit in removed if axis == number), dtype=np.int64)
    return [(number, int(unit)) for unit in own[np.argsort(values[own], kind="stable")][::-1]]
