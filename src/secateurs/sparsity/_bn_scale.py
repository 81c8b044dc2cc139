"""The lasso over the scales of norms."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch

from secateurs._errors import PlanError
from secateurs.criteria import norm_scales
from secateurs.graph import Graph, Member
from secateurs.selection import taking_part
from secateurs.sparsity._checks import check_positive
from secateurs.sparsity._groups import Group, Groups
from secateurs.sparsity._penalty import Penalty

__all__ = ["ScaleLasso"]


@final
@dataclass(frozen=True, kw_only=True)
class ScaleLasso:
    """The scales of norms are drawn to zero one by one, and with them what the next layers see of a unit:

        strength * sum over norms, and over their units u, of |gamma_u|

    with the norms that criterion `bn_scale` looks at. Other weights are left alone.

    Source: Liu et al., Learning efficient convolutional networks through network slimming, 2017.

    Args:
        strength: above 0; 1e-4 and 1e-5 in the publication.
        protect: patterns of axes whose units are left alone.
        kinds: of axes; all but branches if None.

    Raises:
        ConfigError: an option out of range.
    """

    strength: float = 1e-4
    protect: tuple[str, ...] = ()
    kinds: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_positive("bn_scale", strength=self.strength)

    def on(self, graph: Graph) -> Penalty:
        """The penalty for the network that was traced.

        Raises:
            PlanError: no norm scales units of an axis that takes part, or a pattern that matches nothing.
        """
        axes = taking_part(graph, self.protect, self.kinds)
        found = [member for axis in axes for member in norm_scales(graph, axis)]
        if not found:
            cure = "Take group_lasso, which needs no norms."
            raise PlanError(type(graph.model).__name__, wanted="norms that scale units", got="none", cure=cure)
        groups = Groups(graph, [_one_by_one(path, found) for path in sorted({own.path for own in found})])
        return Penalty(groups, torch.tensor(self.strength, dtype=torch.float64), 1)


def _one_by_one(path: str, members: Sequence[Member]) -> Group:
    """A group for each place of a scale that belongs to one of the members."""
    own = [member for member in members if member.path == path]
    places = np.unique(np.concatenate([member.positions for member in own]))
    each = np.arange(len(places))
    return Group(size=len(places), members=[replace(own[0], positions=places, units=each)])
