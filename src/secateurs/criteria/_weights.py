"""Numbers per weight, added up by unit."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from secateurs.criteria._pass import device_of
from secateurs.graph import Axis, Graph, Member

__all__ = ["WeightSums", "connections", "learned", "slopes"]


def learned(graph: Graph, axis: Axis) -> Sequence[Member]:
    """The members that are parameters."""
    return [member for member in axis.members if isinstance(graph.tensor(member.path), nn.Parameter)]


def connections(graph: Graph, axis: Axis) -> Sequence[Member]:
    """The members that are weights between units, of two dims or more; where there is none, all parameters."""
    own = learned(graph, axis)
    return [member for member in own if len(graph.shapes[member.path]) > 1] or own


def slopes(graph: Graph, path: str, gradient: Tensor) -> Tensor:
    """A weight times its gradient, float32 at least: the change of the loss with the weight's own scale."""
    weight = graph.tensor(path).detach()
    dtype = torch.promote_types(weight.dtype, torch.float32)
    return weight.to(dtype) * gradient.to(dtype)


class WeightSums:
    """Numbers per weight, summed over all dims but the members'.

    Args:
        members: by axis.
    """

    def __init__(self, graph: Graph, members: Mapping[str, Sequence[Member]]) -> None:
        self._sizes = {axis.name: axis.size for axis in graph.axes}
        self._members = members
        places = sorted({(member.path, member.dim) for own in members.values() for member in own})
        device = device_of(graph)
        self._sums = {
            (path, dim): torch.zeros(graph.shapes[path][dim], dtype=torch.float64, device=device)
            for path, dim in places
        }
        self._dims: dict[str, list[int]] = {}
        for path, dim in places:
            self._dims.setdefault(path, []).append(dim)

    @property
    def sums(self) -> list[Tensor]:
        """All that is added up."""
        return [*self._sums.values()]

    @property
    def paths(self) -> Iterable[str]:
        """The weights that count."""
        return self._dims

    def add(self, path: str, values: Tensor) -> None:
        """Add numbers of the shape of a weight."""
        for dim in self._dims.get(path, ()):
            others = [other for other in range(values.dim()) if other != dim]
            self._sums[path, dim] += (values.sum(others, dtype=torch.float64) if others else values).double()

    def per_unit(self) -> dict[str, Tensor]:
        """float64 [units] by axis, on the CPU, summed over the members."""
        sums = {place: found.cpu() for place, found in self._sums.items()}
        result = {}
        for name, size in self._sizes.items():
            total = result[name] = torch.zeros(size, dtype=torch.float64)
            for member in self._members[name]:
                found = sums[member.path, member.dim][torch.from_numpy(member.positions)]
                total.index_add_(0, torch.from_numpy(member.units), found)
        return result
