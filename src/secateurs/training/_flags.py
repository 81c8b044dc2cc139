"""The `training` flags of a model, put back whatever happens."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["preserved_flags"]


@contextmanager
def preserved_flags(model: nn.Module) -> Iterator[None]:
    """Restore the flag of every submodule on leaving: a user may keep single layers in eval mode."""
    flags = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in flags:
            module.training = training
