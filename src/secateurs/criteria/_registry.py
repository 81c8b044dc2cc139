"""Criteria by name, for recipes and the command line."""

from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from secateurs._errors import ConfigError
from secateurs._nearest import nearest_hint
from secateurs.criteria._criterion import Criterion

__all__ = ["build", "names", "register"]

_TABLE: dict[str, type[Criterion]] = {}
_AnyCriterion = TypeVar("_AnyCriterion", bound=type[Criterion])


def register(name: str) -> Callable[[_AnyCriterion], _AnyCriterion]:
    """Class decorator: let `build` know a criterion, a dataclass of its options, under a snake_case name."""

    def add(criterion: _AnyCriterion) -> _AnyCriterion:
        if _TABLE.setdefault(name, criterion) is not criterion:
            got = f"{criterion.__name__}, and {_TABLE[name].__name__} has that name"
            raise ConfigError(f"criterion {name!r}", wanted="a new name", got=got, cure="Choose another name.")
        return criterion

    return add


def names() -> tuple[str, ...]:
    """The names that `build` knows, sorted."""
    return tuple(sorted(_TABLE))


def build(name: str, **options: Any) -> Criterion:
    """Make the criterion of a name from `names()`.

    Args:
        name: for example "magnitude".
        options: what its class takes.

    Raises:
        ConfigError: the name or an option is unknown (with the nearest right one), one that it needs is missing, or a
            value makes no sense.

    >>> build("magnitude", p=1)
    Magnitude(p=1, normalize=None)
    """
    if name not in _TABLE:
        raise _unknown("criterion", name, names())
    own = fields(_TABLE[name])  # type: ignore[arg-type]
    known = tuple(option.name for option in own)
    for option in options:
        if option not in known:
            raise _unknown(f"criterion {name!r} option", option, known)
    needed = [option.name for option in own if option.default is MISSING and option.default_factory is MISSING]
    missing = [option for option in needed if option not in options]
    if missing:
        got, cure = "no " + ", ".join(missing), f"Give options={{{missing[0]}: ...}}."
        raise ConfigError(f"criterion {name!r} options", wanted=", ".join(needed), got=got, cure=cure)
    return _TABLE[name](**options)


def _unknown(where: str, name: str, known: tuple[str, ...]) -> ConfigError:
    wanted = f"one of {', '.join(known)}" if known else "no options"
    cure = nearest_hint(name, known, "Take one of these." if known else "Leave it out.")
    return ConfigError(where, wanted=wanted, got=repr(name), cure=cure)
