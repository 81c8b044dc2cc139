"""What may go at all, whatever scores and budgets say."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from secateurs._errors import PlanError
from secateurs._nearest import nearest_hint
from secateurs.graph import Axis, Graph
from secateurs.selection._candidates import Limits
from secateurs.selection._patterns import matching
from secateurs.selection._taking_part import taking_part

__all__ = ["Rules"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Rules:
    """Which axes take part, and how many of their units may stay; as in `select`."""

    protect: Iterable[str] = ()
    floor: float | Mapping[str, float] = 1
    cap: float | Mapping[str, float] | None = None
    multiple_of: int = 1
    kinds: Iterable[str] | None = None

    def axes(self, graph: Graph) -> tuple[Axis, ...]:
        """Those that take part.

        Raises:
            PlanError: none does.
        """
        axes = taking_part(graph, self.protect, self.kinds)
        if not axes:
            got = f"none of the {len(graph.axes)} axes"
            cure = "Loosen protect and kinds; print(graph) lists all axes, and why the rest is fixed."
            raise PlanError("select", wanted="an axis that may be cut", got=got, cure=cure)
        return axes

    def limits(self, graph: Graph) -> dict[str, Limits]:
        """Axis name to how many of its units may stay, for every axis.

        Raises:
            PlanError: a number that makes no sense, or a pattern that matches no axis.
        """
        floor = 1 if isinstance(self.floor, Mapping) else self.floor
        cap = None if isinstance(self.cap, Mapping) else self.cap
        common = Limits(floor=floor, cap=cap, multiple_of=self.multiple_of)
        found = {axis.name: common for axis in graph.axes}
        if isinstance(self.floor, Mapping):
            floors = _by_axis(graph, self.floor, "floor", lambda value: Limits(floor=value))
            found |= {name: replace(found[name], floor=value) for name, value in floors.items()}
        if isinstance(self.cap, Mapping):
            caps = _by_axis(graph, self.cap, "cap", lambda value: Limits(cap=value))
            found |= {name: replace(found[name], cap=value) for name, value in caps.items()}
        return found

    def told(self, graph: Graph, axes: tuple[Axis, ...]) -> str:
        """The rules in the words of an error."""
        floor = "by axis" if isinstance(self.floor, Mapping) else self.floor
        cap = "" if self.cap is None else f"cap={'by axis' if isinstance(self.cap, Mapping) else self.cap}, "
        return f"{len(axes)} of {len(graph.axes)} axes take part, floor={floor}, {cap}multiple_of={self.multiple_of}"


def _by_axis(
    graph: Graph, values: Mapping[str, float], option: str, check: Callable[[Any], object]
) -> dict[str, float]:
    """The value of each axis that has one: by its name, else by the first pattern that matches it."""
    every = [axis.name for axis in graph.axes]
    found: dict[str, float] = {}
    for pattern in sorted(values, key=lambda pattern: pattern not in every):
        names = matching(pattern, every)
        if not names:
            cure = nearest_hint(pattern, every, "print(graph) lists all axes.")
            where = f"{option}[{pattern!r}]"
            raise PlanError(where, wanted="an axis or a pattern", got="no axis of that name", cure=cure)
        check(values[pattern])
        for name in names:
            found.setdefault(name, values[pattern])
    return found
