"""A model that is run and afterwards is as it was."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

__all__ = ["untouched"]

_REGISTRIES = ("_parameters", "_buffers", "_modules")


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, no gradients, and afterwards every module, flag and random state as before.

    Buffers are copies for the time being, since code may write into them; lists, dicts and sets in attributes (where
    code may cache tensors) get their contents back. Contents of other objects are not looked after.
    """
    modules = list(model.modules())
    before = [(module, dict(vars(module))) for module in modules]
    contents: dict[int, tuple[Any, Any]] = {}
    for module in modules:
        _remember(list(vars(module).values()), contents)
    fastpath, random = torch.backends.mha.get_fastpath_enabled(), torch.get_rng_state()
    torch.backends.mha.set_fastpath_enabled(False)
    _copy_buffers(modules)
    for module in modules:
        module.training = False
    try:
        with torch.inference_mode(False), torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fastpath)
        torch.set_rng_state(random)
        for module, attributes in before:
            vars(module).clear()
            vars(module).update(attributes)
        for container, content in contents.values():
            _restore(container, content)


def _remember(values: list[Any], contents: dict[int, tuple[Any, Any]]) -> None:
    """Shallow copies of all containers within containers."""
    for value in values:
        if not isinstance(value, (dict, list, set, tuple)) or id(value) in contents:
            continue
        if not isinstance(value, tuple):
            contents[id(value)] = (value, list(value.items()) if isinstance(value, dict) else list(value))
        _remember(list(value.values() if isinstance(value, dict) else value), contents)


def _restore(container: Any, content: list[Any]) -> None:
    if isinstance(container, list):
        container[:] = content
        return
    container.clear()
    container.update(content)


def _copy_buffers(modules: list[nn.Module]) -> None:
    copies: dict[int, torch.Tensor] = {}
    for module in modules:
        for name, buffer in module._buffers.items():
            if buffer is not None:
                if id(buffer) not in copies:
                    copies[id(buffer)] = buffer.detach().clone()
                module._buffers[name] = copies[id(buffer)]
