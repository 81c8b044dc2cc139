"""How much of a model may be cut."""

import torch
from torch import Tensor, nn

from secateurs.graph import Graph

__all__ = ["share_in_axes"]


def share_in_axes(model: nn.Module, graph: Graph) -> float:
    """The share of parameter elements of which at least one position belongs to an axis; branch axes do not count."""
    places: dict[str, dict[int, Tensor]] = {}
    shapes = {path: tensor.shape for path, tensor in model.named_parameters()}
    for axis in graph.axes:
        for member in axis.members if axis.kind != "branch" else ():
            if member.path in shapes:
                size = shapes[member.path][member.dim]
                marks = places.setdefault(member.path, {}).setdefault(member.dim, torch.zeros(size, dtype=torch.bool))
                marks[torch.from_numpy(member.positions.copy())] = True
    inside = 0.0
    for path, dims in places.items():
        outside = 1.0
        for marks in dims.values():
            outside *= 1 - marks.double().mean().item()
        inside += shapes[path].numel() * (1 - outside)
    return inside / sum(shape.numel() for shape in shapes.values())
