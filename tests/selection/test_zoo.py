"""Budgets are met from above within 0.5 % or one unit, whichever is larger, on every network there is."""

from typing import Any

import pytest
import torch

from secateurs import models
from secateurs.graph import Graph, Plan, trace
from secateurs.selection import reachable, select
from secateurs.selection._candidates import Limits, candidates
from tests.selection._toys import KEYS, scores_of
from tests.zoo import ZOO

_RATIOS = (0.1, 0.3, 0.5, 0.7)


def _figures(plan: Plan, key: str) -> tuple[int, int]:
    """Before and after."""
    if key == "units":
        sizes = sum(size for name, size in plan.sizes.items() if not name.endswith(":branch"))
        return sizes, sizes - sum(map(len, plan.removed.values()))
    return getattr(plan.before, key), getattr(plan.cost, key)


def _one_step_back(graph: Graph, scores: Any, plan: Plan, key: str) -> int:
    """The least that any axis (coupled ones together) gives back with its best removed unit."""
    axes = [axis for axis in graph.axes if axis.kind != "branch"]
    found = candidates(graph, scores, axes, {axis.name: Limits() for axis in axes})
    removed = graph.removed_roots({name: graph[name].atoms[list(units)] for name, units in plan.removed.items()})
    figure = {"units": int((~removed).sum()), **graph.counts.count(removed)}[key]
    steps = []
    for candidate in found:
        gone = len(plan.removed.get(candidate.axes[0].name, ())) * candidate.steps // candidate.axes[0].size
        if gone:
            back = removed.copy()
            back[candidate.atoms(int(candidate.levels[candidate.levels.searchsorted(gone) - 1]), gone)] = False
            steps.append({"units": int((~back).sum()), **graph.counts.count(back)}[key] - figure)
    return min(steps)


def _check(graph: Graph, keys: tuple[str, ...] = KEYS, **options: Any) -> int:
    """How many budgets were in reach."""
    scores, reach, met = scores_of(graph, 0), reachable(graph), 0
    for key in keys:
        for ratio in _RATIOS:
            if ratio > reach[key].ratio:
                continue
            plan = select(graph, scores, {key: ratio}, **options)
            before, after = _figures(plan, key)
            excess, unit = before - after - ratio * before, _one_step_back(graph, scores, plan, key)
            assert excess >= -1e-6, (key, ratio)
            assert excess <= max(0.005 * before, unit), (key, ratio)
            met += 1
    return met


@pytest.mark.parametrize("name", ZOO)
def test_every_tiny_model(name: str) -> None:
    entry = ZOO[name]
    torch.manual_seed(0)
    graph = trace(entry.build(), entry.arguments(2), entry.keywords(2))
    if all(axis.kind == "branch" for axis in graph.axes):
        pytest.skip("nothing of it may be cut")
    assert _check(graph, ("macs", "params")) or reachable(graph)["macs"].ratio < 0.1


@pytest.mark.parametrize("name", ["resnet20", "vgg16_bn", "mobilenet_v2", "googlenet"])
def test_reference_networks(name: str) -> None:
    assert _check(_reference(name), ("macs",)) == len(_RATIOS)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"scope": "layerwise"}, {"per": "macs"}], ids=["global", "layerwise", "per"])
@pytest.mark.parametrize("name", models.TABLE)
def test_all_reference_networks(name: str, options: dict[str, Any]) -> None:
    assert _check(_reference(name), **options) >= len(_RATIOS)


def _reference(name: str) -> Graph:
    with torch.device("meta"):
        model = models.build(name)
        return trace(model, (torch.zeros(1, *models.TABLE[name].input_shape),))
