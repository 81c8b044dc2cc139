"""A penalty that grows on units that were chosen."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from secateurs._errors import ConfigError
from secateurs.graph import Graph, Plan
from secateurs.selection import taking_part
from secateurs.sparsity._checks import check_positive
from secateurs.sparsity._groups import Group, Groups
from secateurs.sparsity._penalty import Penalty

__all__ = ["Growing"]


@final
@dataclass(frozen=True, kw_only=True)
class Growing:
    """Chosen units are pressed harder and harder until they are gone, while the others learn to do without them:

        f(t) / 2 * sum over chosen units u of ||w_u||_2^2,    f(t) = min(limit, increment * (1 + floor(t / every)))

    at step t of the training, where w_u are the parameters that go with unit u, over all members of its axis. A plan
    that removes these units afterwards takes little away. Without chosen units (GReg-2 of the publication) all of them
    are pressed alike, and curvature tells them apart: what the loss does not hold shrinks first.

    Each step multiplies a chosen weight by 1 - learning rate * f, so that f = 1 takes some 5 / learning rate steps
    after the limit is reached to leave a hundredth; momentum makes it faster.

    Source: Wang et al., Neural pruning via growing regularization, 2021.

    Args:
        increment: added every so many steps.
        every: steps.
        limit: of the factor.
        protect, kinds: which axes take part where no units are chosen, as for a cut.

    Raises:
        ConfigError: an option out of range.
    """

    increment: float = 1e-4
    every: int = 10
    limit: float = 1.0
    protect: tuple[str, ...] = ()
    kinds: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_positive("growing", increment=self.increment, limit=self.limit)
        if not isinstance(self.every, int) or isinstance(self.every, bool) or self.every < 1:
            raise ConfigError("growing every", wanted="at least 1 step", got=repr(self.every), cure="Correct every.")

    def on(self, graph: Graph, chosen: Plan | Mapping[str, Iterable[int]] | None = None) -> Penalty:
        """The penalty for the network that was traced.

        Args:
            chosen: a plan that removes these units, or axis names with units; None for all units that take part.

        Raises:
            PlanError: no units, or units that the network does not have.
        """
        axes = taking_part(graph, self.protect, self.kinds)
        units: dict[str, list[int]] = {axis.name: [*range(axis.size)] for axis in axes}
        if chosen is not None:
            given = chosen.removed if isinstance(chosen, Plan) else chosen
            units = {name: sorted({int(unit) for unit in own}) for name, own in given.items()}
            graph.roots_of({name: own for name, own in units.items() if len(own) < graph[name].size})
        named = [graph[name] for name, own in units.items() if own]
        groups = Groups(graph, [Group(size=axis.size, members=axis.members) for axis in named])
        marks = torch.cat([_marks(axis.size, units[axis.name]) for axis in named])
        return Penalty(groups, marks, 2, self.factor)

    def factor(self, step: int) -> float:
        """f(step)."""
        return min(self.limit, self.increment * (1 + step // self.every))


def _marks(size: int, units: Iterable[int]) -> Tensor:
    marks = torch.zeros(size)
    marks[list(units)] = 1
    return marks
