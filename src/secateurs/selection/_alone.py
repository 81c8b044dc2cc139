"""Units that one layer makes alone: single filters and neurons, also those that are added to a stream."""

from collections.abc import Iterable
from dataclasses import dataclass

from secateurs.graph import Axis, Graph, Kind, Member
from secateurs.selection._taking_part import taking_part

__all__ = ["Own", "units_alone"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Own:
    """An axis whose units are those of one layer.

    Attributes:
        axis: of any kind; the branch of a layer that adds to a sum.
        made: its place on the weight that makes it.
    """

    axis: Axis
    made: Member

    @property
    def layer(self) -> str:
        """The module's path."""
        return self.made.path.rpartition(".")[0] or self.made.path


def units_alone(graph: Graph, *, protect: Iterable[str] = (), kinds: Iterable[str] | None = None) -> tuple[Own, ...]:
    """The axes that one weight makes alone, in execution order; where it adds to a sum, its branch.

    A stream, which several layers make together, is none of them; nor are axes that are cut by equal shares, whose
    units do not go one by one.

    Args:
        graph: what may be cut.
        protect: as for `select`; the layer that reads the images is left out by its name.
        kinds: only axes of these kinds; all of them, branches too, if None.

    Raises:
        PlanError: an unknown kind, or a pattern that matches nothing.
    """
    tied = {name for coupling in graph.couplings for name in coupling.shares}
    wanted = _ALL if kinds is None else kinds
    found: dict[tuple[str, int], list[Own]] = {}
    for axis in taking_part(graph, protect, wanted):
        made = [member for member in axis.members if member.role == "produces"]
        if axis.name not in tied and len(made) == 1:
            found.setdefault((made[0].path, made[0].dim), []).append(Own(axis=axis, made=made[0]))
    return tuple(own for group in found.values() for own in _branches_first(group))


_ALL: tuple[Kind, ...] = ("channel", "hidden", "embed", "head", "head_dim", "group", "branch")


def _branches_first(group: list[Own]) -> list[Own]:
    """Of a layer whose stream only it makes, with what no weight makes, the units that go alone."""
    branches = [own for own in group if own.axis.kind == "branch"]
    return branches or group
