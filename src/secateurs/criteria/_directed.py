"""Which end of a criterion's order goes first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor

from secateurs._errors import ConfigError
from secateurs.criteria._combination import Combination, made
from secateurs.criteria._criterion import Criterion
from secateurs.criteria._registry import register
from secateurs.graph import Graph

__all__ = ["Directed"]


@final
@register("directed")
@dataclass(frozen=True, kw_only=True)
class Directed(Combination):
    """The scores of another criterion, so that the units that go first are

    - "lowest": those with the lowest scores, as always;
    - "highest": those with the highest scores (to see what a criterion is worth): scores times -1;
    - "hybrid": those from both ends in turn, the lowest first: twice the number of units further out on the same side,
      plus one above the middle, over the number of units. Equal scores share the mean of their places.

    Source: the choices of the memorisation study of `UnitMem`.

    Args:
        criterion: an object, a name, or `{name: ..., options: {...}}`.
        direction: as above.
        within: for "hybrid", whether ends are those of "all" axes together (branches by themselves) or of each "axis".

    Raises:
        ConfigError: an option that there is not.
    """

    criterion: Criterion
    direction: Literal["lowest", "highest", "hybrid"] = "lowest"
    within: Literal["all", "axis"] = "all"

    def __post_init__(self) -> None:
        where = "criterion 'directed'"
        object.__setattr__(self, "criterion", made(self.criterion, f"{where} criterion"))
        choices = {"direction": ("lowest", "highest", "hybrid"), "within": ("all", "axis")}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                got, cure = repr(getattr(self, name)), "Take one of these."
                raise ConfigError(f"{where} {name}", wanted="one of " + ", ".join(known), got=got, cure=cure)

    @property
    def parts(self) -> Sequence[Criterion]:
        """The one."""
        return (self.criterion,)

    def combined(self, graph: Graph, scores: Sequence[Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
        """See the class."""
        (found,) = scores
        if self.direction == "lowest":
            return found
        if self.direction == "highest":
            return {name: -values for name, values in found.items()}
        if self.within == "axis":
            return {name: _from_both_ends(values) for name, values in found.items()}
        result: dict[str, Tensor] = {}
        for branches in (False, True):
            names = [axis.name for axis in graph.axes if (axis.kind == "branch") is branches]
            if names:
                places = _from_both_ends(torch.cat([found[name] for name in names]))
                result |= zip(names, places.split([len(found[name]) for name in names]), strict=True)
        return result


def _from_both_ends(values: Tensor) -> Tensor:
    """In [0, 1): the lowest first, then the highest, then the second lowest."""
    ascending, count = values.sort().values, len(values)
    below = torch.searchsorted(ascending, values)
    place = (below + torch.searchsorted(ascending, values, right=True) - 1).double() / 2
    return torch.minimum(2 * place, 2 * (count - 1 - place) + 1) / count
