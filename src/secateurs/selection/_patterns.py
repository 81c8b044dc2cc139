"""Names and patterns that users give for axes."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from secateurs._errors import PlanError
from secateurs._nearest import nearest_hint
from secateurs.graph import Axis, Graph

__all__ = ["matching", "protected_axes"]


def protected_axes(graph: Graph, patterns: Iterable[str]) -> frozenset[str]:
    """Names of the axes that patterns protect: the outputs of what they name.

    A pattern (as in `fnmatch`: `*` also matches dots) is held against axis names and against paths of parameters
    and of the modules around them. A path protects the axes that it produces; where it produces none, those that it
    scales (a norm). Reading an axis does not protect it. A path whose outputs cannot be cut anyway is fine.

    Raises:
        PlanError: a pattern that matches no axis, parameter or module.
    """
    patterns = tuple(_as_patterns(patterns))
    protected: set[str] = set()
    if not patterns:
        return frozenset()
    known = {name for path in graph.weights for name in _with_modules(path)} | {axis.name for axis in graph.axes}
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            cure = nearest_hint(pattern, sorted(known), "print(graph) lists all axes.")
            wanted = "a pattern that matches an axis, parameter or module"
            raise PlanError("protect", wanted=wanted, got=f"{pattern!r}, which matches none", cure=cure)
        produced = {axis.name for axis in graph.axes if _names_output(axis, pattern, "produces")}
        protected |= produced or {axis.name for axis in graph.axes if _names_output(axis, pattern, "scales")}
    return frozenset(protected)


def matching(pattern: str, names: Sequence[str]) -> list[str]:
    """The name itself where it is one, else the names that match the pattern."""
    return [pattern] if pattern in names else [name for name in names if fnmatchcase(name, pattern)]


def _as_patterns(patterns: Iterable[str]) -> Iterable[str]:
    """A single string is one pattern, not a sequence of letters."""
    return (patterns,) if isinstance(patterns, str) else patterns


def _names_output(axis: Axis, pattern: str, role: str) -> bool:
    paths = {path for member in axis.members if member.role == role for path in _with_modules(member.path)}
    return any(fnmatchcase(name, pattern) for name in (axis.name, *paths))


def _with_modules(path: str) -> list[str]:
    """A parameter path and the paths of all modules around it."""
    parts = path.split(".")
    return [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
