"""The oracles: cut models against masked dense ones, against zeroed weights, and against counting again."""

import copy
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from secateurs.graph import Coupling, Graph, Plan, convert, tensors_of, trace
from secateurs.models import TABLE
from secateurs.models._cifar_resnet import CifarResNet
from secateurs.models._googlenet import GoogLeNet
from secateurs.models._mobilenet import MobileNetV2
from secateurs.models._squeezenet import SqueezeNet
from secateurs.surgery import apply, fill_random, masked, relative_error, tensors_in
from tests.zoo import ZOO, Entry
from tests.zoo._entry import image

__all__ = [
    "Case",
    "alone",
    "assert_equal_masked",
    "case",
    "cut",
    "in_float64",
    "make_case",
    "outputs",
    "randomised",
    "steps_of",
    "table_case",
    "third",
    "zeroed",
]

LARGEST_ERROR = 1e-9
_ANY_SIZE = (CifarResNet, GoogLeNet, MobileNetV2, SqueezeNet)
"""Convolutional up to a pool over all positions: the same network on any image."""
SMALLEST_REACTION = 1e-6


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model with random weights in float64, its trace and the call that it was traced with."""

    name: str
    entry: Entry
    model: nn.Module
    graph: Graph

    @cached_property
    def plan(self) -> Plan:
        """A third of every axis."""
        return self.graph.plan(third(self.graph))

    @cached_property
    def smaller(self) -> nn.Module:
        """The model cut by that plan, proved by nothing yet."""
        return cut(self.model, self.plan)

    def call(self, batch: int = 2) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments in float64."""
        return _widened(self.entry, batch)


@lru_cache(maxsize=200)
def case(name: str) -> Case:
    """A zoo model, traced once for all tests."""
    return make_case(name, ZOO[name])


def table_case(name: str) -> Case:
    """A model of the table on small images; not kept, for some are large."""
    channels, side, _ = TABLE[name].input_shape
    side = 8 if isinstance(TABLE[name].builder(classes=10, channels=channels), _ANY_SIZE) else min(side, 32)
    build = partial(TABLE[name].builder, classes=10, channels=channels)
    return make_case(name, Entry(build=build, arguments=lambda batch: image(channels, side, side)(batch - 1)))


def make_case(name: str, entry: Entry) -> Case:
    """Random weights, then the trace."""
    model = randomised(entry.build)
    args, kwargs = _widened(entry, 2)
    return Case(name=name, entry=entry, model=model, graph=trace(model, args, kwargs))


def in_float64(model: nn.Module) -> nn.Module:
    """Everything that has a precision in double precision, plain attributes too."""
    return convert(model, lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)


def randomised(build: Callable[[], nn.Module], *, seed: int = 0) -> nn.Module:
    """A model in float64 and evaluation mode, all weights and buffers random."""
    model = in_float64(build()).eval()
    fill_random(model, seed=seed)
    return model


def _widened(entry: Entry, batch: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
    given = (entry.arguments(batch), entry.keywords(batch))
    widened: tuple[tuple[Any, ...], dict[str, Any]] = tree_map_only(Tensor, _widen, given)
    return widened


def _widen(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def third(graph: Graph, axes: Iterable[str] | None = None) -> Mapping[str, list[int]]:
    """Every third unit of all or of some axes; a third of the steps of coupled ones, units drawn at random.

    Branches lose other units than their streams do.
    """
    names = {axis.name for axis in graph.axes} if axes is None else set(axes)
    chosen = [axis for axis in graph.axes if axis.name in names]
    first = {axis.name: int(axis.kind == "branch" and axis.size > 2) for axis in chosen}
    removed = {axis.name: list(range(first[axis.name], axis.size - 1, 3)) for axis in chosen}
    for coupling in graph.couplings:
        if names & coupling.shares.keys():
            removed.update(steps_of(graph, coupling, len(range(0, coupling.steps - 1, 3))))
    return removed


def steps_of(graph: Graph, coupling: Coupling, count: int) -> Mapping[str, list[int]]:
    """That many steps of a coupling, any units."""
    draw = random.Random(count)
    sizes = {name: graph[name].size for name in coupling.shares}
    return {name: sorted(draw.sample(range(sizes[name]), count * share)) for name, share in coupling.shares.items()}


def alone(graph: Graph) -> list[tuple[str, ...]]:
    """The axes that can be cut alone, and those that only go together."""
    coupled = {name for coupling in graph.couplings for name in coupling.shares}
    singles = [(axis.name,) for axis in graph.axes if axis.name not in coupled]
    return singles + [tuple(coupling.shares) for coupling in graph.couplings]


def cut(model: nn.Module, plan: Plan) -> nn.Module:
    """The cut copy, proved by nothing yet."""
    return apply(model, plan, verify=False).model


def outputs(model: nn.Module, call: tuple[tuple[Any, ...], dict[str, Any]]) -> list[Tensor]:
    """All tensors that a call returns."""
    with torch.no_grad():
        return list(tensors_in(model(*call[0], **call[1])))


def assert_equal_masked(model: nn.Module, smaller: nn.Module, plan: Plan, call: Any) -> None:
    """The cut model computes what the masked dense model does, which is not what the dense model does."""
    dense = outputs(model, call)
    with masked(model, plan) as as_if_cut:
        expected = outputs(as_if_cut, call)
    assert relative_error(dense, expected) > SMALLEST_REACTION, "the outputs ignore the cut: the proof is void"
    assert relative_error(expected, outputs(smaller, call)) < LARGEST_ERROR


def zeroed(model: nn.Module, plan: Plan) -> nn.Module:
    """The dense model with zeros wherever `plan.kept` leaves out a position of a parameter or floating buffer."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for path, tensor in tensors_of(model).items():
            for dim, kept in enumerate(plan.kept(path) if path in plan.shapes else ()):
                gone = torch.ones(tensor.shape[dim], dtype=torch.bool).index_fill_(0, kept, False)
                if gone.any() and tensor.is_floating_point():
                    tensor.index_fill_(dim, gone.nonzero().squeeze(1), 0)
    return model
