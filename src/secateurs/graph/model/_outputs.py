"""The tensors in what a model returns: which are promised, and which are its memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from secateurs.graph.model._structure import is_object, is_plain, parts_of

__all__ = ["Outputs", "State", "handed_on", "tensors_in"]


def tensors_in(output: Any) -> Iterator[Tensor]:
    """All tensors in tuples, lists, dicts, dataclasses and other objects, each object visited once."""
    yield from _walk(output, set(), frozenset())


def _walk(value: Any, seen: set[int], without: frozenset[int]) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif (is_plain(value) or is_object(value)) and id(value) not in seen | without:
        seen.add(id(value))
        for part in parts_of(value):
            yield from _walk(part, seen, without)


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The tensors that a call returned.

    Attributes:
        promised: whose sizes a cut must not change: those in plain containers.
        internal: those in objects that the model also hands to its own modules, such as a cache of keys and values.
            They are what the model remembers, in its own format, and they shrink with it.
    """

    promised: tuple[Tensor, ...]
    internal: tuple[Tensor, ...]


class State:
    """The objects that modules were called with while a model ran."""

    def __init__(self) -> None:
        self._handed: dict[int, Any] = {}

    def note(self, values: Any) -> None:
        """Arguments of a module, one level of containers deep."""
        for value in values:
            if type(value) is Tensor:
                continue
            for item in (value, *(parts_of(value) if isinstance(value, (tuple, list, dict)) else ())):
                if is_object(item):
                    self._handed[id(item)] = item

    def sort(self, output: Any) -> Outputs:
        """Divide the tensors of an output; where it holds nothing but such objects, they are the result."""
        own = frozenset(self._handed)
        promised = tuple(_walk(output, set(), own))
        known = {id(tensor) for tensor in promised}
        others = tuple(tensor for tensor in tensors_in(output) if id(tensor) not in known)
        return Outputs(promised=promised, internal=others) if promised else Outputs(promised=others, internal=())


@contextmanager
def handed_on() -> Iterator[State]:
    """Notes which objects modules are called with inside."""
    state = State()

    def note(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], _output: Any) -> None:
        state.note((*args, *kwargs.values()))

    handle = nn.modules.module.register_module_forward_hook(note, with_kwargs=True)
    try:
        yield state
    finally:
        handle.remove()
        # torch forgets to take this note of the hook away with it.
        nn.modules.module._global_forward_hooks_with_kwargs.pop(handle.id, None)
