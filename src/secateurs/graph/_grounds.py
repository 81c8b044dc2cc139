"""What a trace runs on: meta tensors, fake tensors, or the real ones."""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from secateurs.graph._meta import Shadows, shadow

__all__ = ["FakeGround", "Ground", "MetaGround", "RealGround"]


class Ground(Protocol):
    """Stand-ins for the tensors of a model and of its call."""

    replaces_weights: bool

    @property
    def shadows(self) -> Shadows | None:
        """Runs the operators, where they need other tensors than they get."""

    def stand_in(self, tensor: Tensor) -> Tensor:
        """What is in the place of a tensor."""

    def entered(self) -> AbstractContextManager[Any]:
        """What the model runs in."""


@final
class MetaGround:
    """torch's meta tensors: shapes alone. The fastest by far; code that looks at values fails.

    Args:
        device: the one that they stand for.
    """

    replaces_weights = True

    def __init__(self, device: torch.device) -> None:
        self.shadows = Shadows(device)

    def stand_in(self, tensor: Tensor) -> Tensor:
        """See `Ground`."""
        return shadow(tensor)

    def entered(self) -> AbstractContextManager[Any]:
        """See `Ground`."""
        return nullcontext()


@final
class FakeGround:
    """torch's fake tensors: shapes and devices, and values of constants."""

    replaces_weights = True
    shadows: Shadows | None = None

    def __init__(self) -> None:
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)

    def stand_in(self, tensor: Tensor) -> Tensor:
        """See `Ground`."""
        if type(tensor) not in (Tensor, nn.Parameter) or tensor.layout != torch.strided:
            return self._mode.from_tensor(tensor, static_shapes=True)
        # The general conversion takes eight times as long, most of it on features that plain tensors do not have.
        empty = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
        fake = FakeTensor(self._mode, empty, tensor.device)
        if isinstance(tensor, nn.Parameter):
            fake._is_param = True
            fake.requires_grad_(tensor.requires_grad)
        return fake

    def entered(self) -> AbstractContextManager[Any]:
        """See `Ground`."""
        return _quietly(self._mode)


@contextmanager
def _quietly(mode: FakeTensorMode) -> Iterator[None]:
    """torch logs a traceback before it raises what a trace turns into one error."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with mode:
            yield
    finally:
        logger.setLevel(level)


@final
class RealGround:
    """The model itself, on copies of the arguments, since code may write into them."""

    replaces_weights = False
    shadows: Shadows | None = None

    def stand_in(self, tensor: Tensor) -> Tensor:
        """See `Ground`."""
        return tensor.clone()

    def entered(self) -> AbstractContextManager[Any]:
        """See `Ground`."""
        return nullcontext()
