"""Penalties one unit after the other, by autograd: slow and obvious."""

import torch
from torch import Tensor, nn

from secateurs.graph import Axis, Graph


def group(graph: Graph, axis: Axis, unit: int, roles: tuple[str, ...] = ("produces", "reads", "scales")) -> Tensor:
    """All parameters that go with one unit, in one vector that autograd follows."""
    parts = []
    for member in axis.members:
        tensor = graph.tensor(member.path)
        if isinstance(tensor, nn.Parameter) and member.role in roles:
            places = [int(place) for place, own in zip(member.positions, member.units, strict=True) if own == unit]
            parts += [tensor.select(member.dim, place).reshape(-1) for place in places]
    return torch.cat(parts) if parts else torch.zeros(0)


def groups(graph: Graph, roles: tuple[str, ...] = ("produces", "reads", "scales")) -> list[Tensor]:
    """Of all units of all axes but branches."""
    axes = [axis for axis in graph.axes if axis.kind != "branch"]
    return [group(graph, axis, unit, roles) for axis in axes for unit in range(axis.size)]


def gradients(model: nn.Module, term: Tensor) -> dict[str, Tensor]:
    """What a term of the loss gives each parameter."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(term, parameters, allow_unused=True)
    return {
        name: torch.zeros_like(parameter) if gradient is None else gradient
        for name, parameter, gradient in zip(names, parameters, found, strict=True)
    }
