"""The group lasso over units."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import torch

from secateurs.graph import Axis, Graph, Member
from secateurs.selection import taking_part
from secateurs.sparsity._checks import check_choice, check_positive
from secateurs.sparsity._groups import Group, Groups
from secateurs.sparsity._penalty import Penalty

__all__ = ["GroupLasso"]


@final
@dataclass(frozen=True, kw_only=True)
class GroupLasso:
    """All that goes with a unit is drawn to zero together, units that earn their place least of all:

        strength * sum over units u of c_u * ||w_u||_2

    where w_u are the parameters that go with unit u, over all members of its axis: weights that make it, biases and
    scales of norms, weights that read it. The gradient, strength * c_u * w_u / ||w_u||, is as long for small units as
    for large ones, so that those whose loss does not hold them end near zero and the others stay.

    Source: Yuan and Lin, Model selection and estimation in regression with grouped variables, 2006; for filters and
    channels Wen et al., Learning structured sparsity in deep neural networks, 2016.

    Args:
        strength: above 0.
        by_size: c_u is the square root of the number of parameters in w_u, as Yuan and Lin have it; else 1.
        over: `all` of them, or the weights that `produce` a unit alone, as criterion magnitude counts them. Before a
            batch norm the scale of such weights means nothing to the network, and they shrink for free.
        protect: patterns of axes whose units are left alone.
        kinds: of axes; all but branches if None.

    Raises:
        ConfigError: an option out of range.
    """

    strength: float = 1e-4
    by_size: bool = True
    over: Literal["all", "produce"] = "all"
    protect: tuple[str, ...] = ()
    kinds: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_positive("group_lasso", strength=self.strength)
        check_choice("group_lasso", over=(self.over, ("all", "produce")))

    def on(self, graph: Graph) -> Penalty:
        """The penalty for the network that was traced.

        Raises:
            PlanError: no axis takes part, or a pattern that matches nothing.
        """
        axes = taking_part(graph, self.protect, self.kinds)
        groups = Groups(graph, [Group(size=axis.size, members=self._members(axis)) for axis in axes])
        weights = groups.sizes.sqrt() if self.by_size else torch.ones(groups.number, dtype=torch.float64)
        return Penalty(groups, self.strength * weights, 1)

    def _members(self, axis: Axis) -> Sequence[Member]:
        return axis.members if self.over == "all" else [own for own in axis.members if own.role == "produces"]
