"""What is done to a model besides cuts, so that it can be done again when the model is loaded."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from torch import nn

from secateurs.graph import Plan
from secateurs.surgery._apply import HISTORY

__all__ = ["CHANGE", "Change", "history", "plans_of", "read_change", "record", "register_change"]

CHANGE = "change"
"""Key of a saved change's name; plans have none."""


@runtime_checkable
class Change(Protocol):
    """A change of a model's modules that rooms above this one make: gates, factored layers.

    It is a value: `to_json` has all that `carry_out` needs to do it again to the model as it was before, without
    example and without its weights, which are loaded afterwards.
    """

    @property
    def name(self) -> str:
        """What it was registered as."""
        ...

    def to_json(self) -> dict[str, Any]: ...

    def carry_out(self, model: nn.Module) -> None:
        """Change the model in place.

        Raises:
            PlanError: another model than the change was made for.
        """
        ...


_READERS: dict[str, Callable[[Mapping[str, Any]], Change]] = {}


def register_change(name: str, read: Callable[[Mapping[str, Any]], Change]) -> None:
    """Let `load` know a change by its name; `read` is the inverse of `to_json` and raises ValueError or KeyError."""
    _READERS[name] = read


def read_change(content: Mapping[str, Any]) -> Change:
    """The change that a file holds.

    Raises:
        ValueError: none that is known, or a damaged one.
    """
    name = content[CHANGE]
    if name not in _READERS:
        raise ValueError(f"an unknown change {name!r}")
    try:
        return _READERS[name]({key: value for key, value in content.items() if key != CHANGE})
    except (KeyError, TypeError) as error:
        raise ValueError(f"a damaged change {name!r} ({type(error).__name__}: {error})") from error


def record(model: nn.Module, change: Change) -> None:
    """Remember that the change has been carried out on the model; `save` writes it among the plans."""
    vars(model)[HISTORY] = (*history(model), change)


def history(model: nn.Module) -> tuple[Plan | Change, ...]:
    """Cuts and changes that led to a model, in order."""
    found: tuple[Plan | Change, ...] = getattr(model, HISTORY, ())
    return found


def plans_of(model: nn.Module) -> tuple[Plan, ...]:
    """The cuts alone."""
    return tuple(entry for entry in history(model) if isinstance(entry, Plan))
