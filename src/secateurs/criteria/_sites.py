"""Sites: where in a running model the units of an axis can be seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from secateurs._errors import PlanError
from secateurs.graph import Axis, Graph, Member

__all__ = ["Columns", "Site", "sites_of"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Site:
    """A tensor that passes by while the model runs.

    Attributes:
        kind: "read", what a weight meets on its dim; "made", what an operator makes on a weight's dim; "left", what
            a module returns.
        path: of the weight or the module.
        dim: of the weight, or of what the module returns.
        size: positions on that dim.
    """

    kind: Literal["read", "made", "left"]
    path: str
    dim: int
    size: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """Which positions of a site belong to which units, as int64 arrays [n] each."""

    positions: IntArray
    units: IntArray

    def on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Both as tensors."""
        return torch.from_numpy(self.positions).to(device), torch.from_numpy(self.units).to(device)


def sites_of(graph: Graph) -> Mapping[str, Mapping[Site, Columns]]:
    """The sites of every axis: all places where its units are read.

    Zeroing an exact axis's units there removes them. Branches, which nothing reads before they enter their sum, are
    seen where they leave their last module; units that no weight reads (queries and keys) where they are made.

    Raises:
        PlanError: an axis that is neither read nor made by a weight.
    """
    branches = _branches(graph)
    return {axis.name: branches.get(axis.name) or _of(graph, axis) for axis in graph.axes}


def _of(graph: Graph, axis: Axis) -> Mapping[Site, Columns]:
    roles: tuple[tuple[Literal["produces", "reads"], Literal["made", "read"]], ...]
    roles = (("reads", "read"), ("produces", "made"))
    for role, kind in roles:
        found: dict[Site, list[Member]] = {}
        for member in axis.members:
            if member.role == role:
                size = graph.shapes[member.path][member.dim]
                found.setdefault(Site(kind=kind, path=member.path, dim=member.dim, size=size), []).append(member)
        if found:
            return {site: _columns(members) for site, members in found.items()}
    names = ", ".join(member.path for member in axis.members)
    cure = "Take a criterion that looks at weights alone, or protect this axis and score without it."
    raise PlanError(f"axis {axis.name!r}", wanted="weights that make or read its units", got=names, cure=cure)


def _columns(members: Sequence[Member]) -> Columns:
    return Columns(
        positions=np.concatenate([member.positions for member in members]),
        units=np.concatenate([member.units for member in members]),
    )


def _branches(graph: Graph) -> Mapping[str, Mapping[Site, Columns]]:
    """Axes of branches: what the last module before the sum returns."""
    own = {int(atom): axis for axis in graph.axes if axis.kind == "branch" for atom in axis.atoms}
    found = {}
    for branch in graph.branches:
        roots = graph.algebra.resolve(branch.narrow)
        rows, columns = np.nonzero(np.isin(roots, list(own)))
        if not len(rows):
            continue
        axis = own[int(roots[rows[0], columns[0]])]
        place = {int(atom): unit for unit, atom in enumerate(axis.atoms)}
        units = np.array([place[int(atom)] for atom in roots[rows, columns]])
        site = Site(kind="left", path=branch.path, dim=branch.dim, size=len(branch.narrow))
        found[axis.name] = {site: Columns(positions=rows, units=units)}
    return found
