"""Masks that stay as they are while weights train."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from secateurs._errors import PlanError
from secateurs.masks._parametrize import Parametrized

__all__ = ["apply_masks", "fixed_masks"]


class _FixedMask(nn.Module):
    """A parameter as its own values where `mask` is 1 and zero elsewhere; gradients stop at the zeros."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.mask


@contextmanager
def fixed_masks(model: nn.Module, masks: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside, the model computes with masked parameters, and training changes what the masks leave alone.

    Afterwards the model is plain again, its parameters the same objects as before, with zeros where they were masked.

    Args:
        model: any; changed in place.
        masks: path of a parameter or buffer -> bool tensor of its shape, True where it stays.

    Raises:
        PlanError: a path that the model does not have, or a mask of another shape.
    """
    apply_masks(model, masks)
    held: list[Parametrized] = []
    try:
        for path, mask in masks.items():
            owner, name = _place(model, path)
            tensor = getattr(owner, name)
            if isinstance(tensor, nn.Parameter):
                held.append(Parametrized(owner, name, _FixedMask(mask.to(tensor))))
        yield
    finally:
        for parameter in reversed(held):
            parameter.close(keep=True)
        # Statistics that training moved meanwhile.
        apply_masks(model, masks)


@torch.no_grad()
def apply_masks(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Write zeros where the masks say so; everything is checked before anything is written."""
    targets = [(_tensor(model, path, mask), mask) for path, mask in masks.items()]
    for tensor, mask in targets:
        tensor.masked_fill_(~mask.to(tensor.device), 0)


def _tensor(model: nn.Module, path: str, mask: Tensor) -> Tensor:
    owner, name = _place(model, path)
    tensor: Tensor = getattr(owner, name)
    if mask.dtype != torch.bool or mask.shape != tensor.shape:
        raise PlanError(
            f"mask of {path}",
            wanted=f"a bool tensor {list(tensor.shape)}, as the parameter",
            got=f"{mask.dtype} {list(mask.shape)}",
            cure="Use the masks with the network that they were made for.",
        )
    return tensor


def _place(model: nn.Module, path: str) -> tuple[nn.Module, str]:
    owner, _, name = path.rpartition(".")
    try:
        module = model.get_submodule(owner)
        tensor = getattr(module, name)
    except AttributeError:
        tensor = None
    if not isinstance(tensor, Tensor):
        raise PlanError(
            f"mask of {path}",
            wanted="a parameter or buffer of the model",
            got="no such path",
            cure="Use the masks with the network that they were made for.",
        )
    return module, name
