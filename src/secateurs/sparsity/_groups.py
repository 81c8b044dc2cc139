"""Groups of parameters that go together, and sums over all groups at once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from secateurs._errors import PlanError, TrainingError
from secateurs.graph import Graph, Member
from secateurs.sparsity._sums import Sums

__all__ = ["Group", "Groups"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """Groups that are numbered alike: one for each unit of an axis, say.

    Attributes:
        size: how many there are.
        members: dims of parameters whose units are numbers of groups.
    """

    size: int
    members: Sequence[Member]


class Groups:
    """All groups of a network's parameters, numbered one after another.

    A weight that a group meets on two of its dims (one that reads and makes the same unit) counts twice in it.

    It holds on to the parameters themselves, so that they may be moved, trained, or masked by a parametrisation; after
    a cut there are others, which need other groups.

    Raises:
        PlanError: no parameters.
    """

    def __init__(self, graph: Graph, groups: Sequence[Group]) -> None:
        starts = np.cumsum([0, *(group.size for group in groups)])
        members = [
            (int(start), member)
            for start, group in zip(starts, groups, strict=False)
            for member in group.members
            if isinstance(graph.tensor(member.path), nn.Parameter)
        ]
        if not members:
            cure = "Take another penalty, or other kinds of axes; print(graph) lists all axes."
            raise PlanError(type(graph.model).__name__, wanted="parameters to draw to zero", got="none", cure=cure)
        self.number = int(starts[-1])
        self.parts = [group.size for group in groups]
        self._dims = _dims([member for _, member in members])
        self._parameters: dict[str, Tensor] = {path: graph.tensor(path) for path in self._dims}
        widths = {place: graph.shapes[place[0]][place[1]] for place in self._places}
        offsets = dict(zip(widths, np.cumsum([0, *widths.values()]).tolist(), strict=False))
        self._widths = list(widths.values())
        rows = np.concatenate([start + member.units for start, member in members])
        columns = np.concatenate([offsets[member.path, member.dim] + member.positions for _, member in members])
        self._to_groups = Sums(rows, columns, self.number)
        self._to_places = Sums(columns, rows, sum(self._widths))
        self.sizes = self._sizes(rows, columns)
        """Parameters in each group, float64 [number] on the CPU."""

    @torch.no_grad()
    def norms(self) -> Tensor:
        """The L2 norm of each group, [number], float32 at least."""
        sums = [part for path, dims in self._dims.items() for part in _squares(self._parameters[path], dims)]
        return self._to_groups(torch.cat([part.to(sums[0].device, sums[0].dtype) for part in sums])).sqrt()

    @torch.no_grad()
    def add_gradients(self, factors: Tensor) -> None:
        """Add to every gradient its parameter times the factors [number] of the groups that it is in.

        Raises:
            TrainingError: there are no gradients.
        """
        live = {path: parameter for path, parameter in self._parameters.items() if parameter.grad is not None}
        if not live:
            raise TrainingError(
                "penalty",
                wanted="gradients of the network that the penalty was made for",
                got="none",
                cure="Call it after backward() and before the optimizer's step, and make it anew after a cut.",
            )
        parts = dict(zip(self._places, self._to_places(factors).split(self._widths), strict=True))
        for path, parameter in live.items():
            assert parameter.grad is not None
            factor = sum(
                (_along(parts[path, dim], dim, parameter.dim()) for dim in self._dims[path][1:]),
                start=_along(parts[path, self._dims[path][0]], self._dims[path][0], parameter.dim()),
            )
            parameter.grad.addcmul_(parameter, factor.to(parameter.device, parameter.grad.dtype))

    @property
    def _places(self) -> list[tuple[str, int]]:
        return [(path, dim) for path, dims in self._dims.items() for dim in dims]

    def _sizes(self, rows: IntArray, columns: IntArray) -> Tensor:
        elements = [self._parameters[path].numel() for path, _ in self._places]
        each = np.repeat(np.array(elements) // np.array(self._widths), self._widths)
        return torch.from_numpy(np.bincount(rows, weights=each[columns], minlength=self.number))


def _dims(members: Sequence[Member]) -> Mapping[str, Sequence[int]]:
    """Dims of each parameter, in order."""
    found: dict[str, set[int]] = defaultdict(set)
    for member in members:
        found[member.path].add(member.dim)
    return {path: sorted(dims) for path, dims in found.items()}


def _squares(tensor: Tensor, dims: Sequence[int]) -> list[Tensor]:
    """For each of these dims, the sum of squares at its positions."""
    values = tensor.detach()
    squares = values.to(torch.promote_types(values.dtype, torch.float32)).square()
    others = [dim for dim in range(values.dim()) if dim not in dims]
    if others:
        squares = squares.sum(others, keepdim=True)
    found = []
    for dim in dims:
        rest = [other for other in range(values.dim()) if other != dim]
        found.append(squares.sum(rest) if rest else squares)
    return found


def _along(values: Tensor, dim: int, dims: int) -> Tensor:
    return values.view([-1 if other == dim else 1 for other in range(dims)])
