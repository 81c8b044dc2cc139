"""A model that is run and afterwards is as it was."""

import copy
import random
import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from operator import is_
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from secateurs.graph.model._look import looking
from secateurs.graph.model._structure import is_object, parts_of
from secateurs.graph.model._tensors import follow_ties, modules_of

__all__ = ["untouched"]


@contextmanager
def untouched(
    model: nn.Module, arguments: Any = (), *, copy_buffers: bool = True, proof: bool = False
) -> Iterator[None]:
    """Evaluation mode, no gradients, code as it is written, and afterwards everything as before. Parts of the model
    that decide for themselves whether to run all do.

    That is: every module, flag and random state; what lists, dicts, sets and objects in attributes hold (where code
    may cache tensors); random generators and plain tensors that they hold. Compiled parts run uncompiled. Buffers are
    copies for the time being, since code may write into them. Parameters that code writes into are not looked after.

    Args:
        model: the module to run.
        arguments: what it is called with, looked after in the same way.
        copy_buffers: not needed where the caller puts other tensors in the place of all of them.
        proof: such parts do not only run, but all have a say in the outputs.
    """
    modules = list(modules_of(model).values())
    before = [(module, dict(vars(module))) for module in modules]
    held = _Held([*(vars(module) for module in modules), (arguments,)], _own_tensors(modules))
    with ExitStack() as stack:
        stack.callback(_restore_modules, before)
        stack.callback(held.restore)
        stack.enter_context(_random_states())
        stack.enter_context(_plain_code())
        stack.enter_context(looking("proof" if proof else "all"))
        if copy_buffers:
            _copy_buffers(modules)
        for module in modules:
            module.training = False
        with torch.inference_mode(False), torch.no_grad():
            yield


def _restore_modules(before: list[tuple[nn.Module, dict[str, Any]]]) -> None:
    for module, attributes in before:
        vars(module).clear()
        vars(module).update(attributes)


@contextmanager
def _plain_code() -> Iterator[None]:
    """No kernels that fuse a whole layer, no compiled code: neither shows its operators."""
    fastpath = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        # Only a program that compiles something has loaded the compiler, which takes a second.
        with _uncompiled() if "torch._dynamo.eval_frame" in sys.modules else nullcontext():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fastpath)


@contextmanager
def _uncompiled() -> Iterator[None]:
    with torch.compiler.set_stance("force_eager"), warnings.catch_warnings():
        # Hooks that fire twice do no harm here.
        warnings.filterwarnings("ignore", message="Using `torch.compile")
        yield


@contextmanager
def _random_states() -> Iterator[None]:
    """Of torch, of its accelerators where one is in use, of numpy and of Python."""
    on_cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
    devices = torch.cuda.get_rng_state_all() if on_cuda else None
    state, numbers, plain = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.set_rng_state(state)
        np.random.set_state(numbers)
        random.setstate(plain)
        if devices is not None:
            torch.cuda.set_rng_state_all(devices)


class _Held:
    """What containers and objects hold, to any depth, with a way to put it back.

    A model has twenty containers per module, nearly all of them empty, and is looked through several times: those
    take a list entry each and nothing more.
    """

    def __init__(self, values: Iterable[Any], own: set[int]) -> None:
        self._seen: dict[int, Any] = {}
        self._empty: list[Any] = []
        self._full: list[tuple[Any, Any]] = []
        self._undo: list[Callable[[], None]] = []
        pending = list(values)
        while pending:
            value = pending.pop()
            for part in value.values() if type(value) is dict else parts_of(value):
                kind = type(part)
                if kind in _CONTAINERS:
                    if not part:
                        self._empty.append(part)
                        continue
                elif kind in _ATOMS or id(part) in own:
                    continue
                if id(part) not in self._seen and self._remember(part):
                    pending.append(part)

    def restore(self) -> None:
        """Put everything back that has changed."""
        for container in self._empty:
            if container:
                container.clear()
        for container, before in self._full:
            _refill(container, before)
        for undo in self._undo:
            undo()

    def _remember(self, value: Any) -> bool:
        """Whether there may be more inside."""
        self._seen[id(value)] = value
        if isinstance(value, tuple):
            return not _ATOMS.issuperset(map(type, value))
        if isinstance(value, (list, set, dict)):
            self._full.append((value, copy.copy(value) if type(value) in _CONTAINERS else _plain_copy(value)))
            return True
        if isinstance(value, nn.Module):
            return False
        undo = _undo_of(value)
        if undo is not None:
            self._undo.append(undo)
            return not isinstance(value, Tensor)
        if is_object(value) and type(value).__module__.partition(".")[0] not in _SYSTEM:
            self._full.append((vars(value), dict(vars(value))))
            return True
        return False


_ATOMS = frozenset((bool, int, float, str, type(None), nn.Parameter))
_CONTAINERS = frozenset((dict, list, set, OrderedDict))
_SYSTEM = frozenset(sys.stdlib_module_names - {"collections", "types", "__main__"}) | {"torch", "numpy"}
"""Objects of these may belong to other threads or to the system: locks, files, loggers, process groups."""


def _plain_copy(container: Any) -> Any:
    """Of a subclass, which may not copy as its base does."""
    return dict(container) if isinstance(container, dict) else list(container)


def _refill(container: Any, before: Any) -> None:
    """Put contents back, where they differ in any object."""
    same = len(container) == len(before) and all(map(is_, container, before))
    if same and (not isinstance(container, dict) or all(map(is_, container.values(), before.values()))):
        return
    container.clear()
    if isinstance(container, list):
        container.extend(before)
    else:
        container.update(before)


def _undo_of(value: Any) -> Callable[[], None] | None:
    """For what has a state that is no attribute."""
    if isinstance(value, Tensor):
        return _values(value)
    if isinstance(value, torch.Generator):
        state = value.get_state()
        return lambda: _ignore(value.set_state(state))
    if isinstance(value, random.Random):
        plain = value.getstate()
        return lambda: value.setstate(plain)
    if isinstance(value, np.random.Generator):
        numbers = value.bit_generator.state
        return lambda: setattr(value.bit_generator, "state", numbers)
    return None


def _ignore(_value: object) -> None:
    return None


def _values(tensor: Tensor) -> Callable[[], None] | None:
    """Undoes writes into a tensor that is neither parameter nor buffer; torch counts them."""
    if tensor.is_meta or tensor.is_inference() or tensor.layout != torch.strided:
        return None
    version, values = tensor._version, tensor.detach().clone()

    def undo() -> None:
        if tensor._version != version:
            with torch.no_grad():
                tensor.detach().copy_(values)

    return undo


def _own_tensors(modules: Iterable[nn.Module]) -> set[int]:
    """Parameters, and buffers, which have copies."""
    registries = [registry for module in modules for registry in (module._parameters, module._buffers)]
    return {id(tensor) for registry in registries for tensor in registry.values() if tensor is not None}


def _copy_buffers(modules: list[nn.Module]) -> None:
    copies: dict[int, Tensor] = {}
    for module in modules:
        for name, buffer in module._buffers.items():
            if buffer is not None:
                if id(buffer) not in copies:
                    copies[id(buffer)] = buffer.detach().clone()
                module._buffers[name] = copies[id(buffer)]
    follow_ties(modules, copies)
