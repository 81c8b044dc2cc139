"""The proof of a rotation: the layers as they were, with what is left of their weights, give the same outputs."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from secateurs._errors import VerifyError
from secateurs.eigen._bottleneck import Widths, core_of, put
from secateurs.eigen._build import Pieces, bottleneck
from secateurs.graph import map_tensors, tensors_in, untouched
from secateurs.statistics import Batch
from secateurs.surgery import copy_model, relative_error

__all__ = ["prove"]

_EXACT, _COARSE = 1e-9, 1e-2
"""Relative differences: in double precision, and where code insists on the model's own."""

Left = Mapping[str, tuple[Pieces, Widths]]


def prove(model: nn.Module, left: Left, example: Batch) -> float:
    """The relative difference between the outputs of the model rotated, and those of the model with its own layers,
    which have the weights that the pieces multiply out to.

    Rotated weights rounded to single precision would hide errors of that size, so that both are made from the model
    in double precision.

    Args:
        left: path of each layer to replace, to what is left of it.

    Raises:
        VerifyError: they differ.
    """
    error, limit = _difference(model, left, example, _wide), _EXACT
    if error is None:
        error, limit = _difference(model, left, example, torch.clone), _COARSE
    if error is None or not error <= limit:
        raise VerifyError(
            "the rotated model",
            wanted=f"the outputs of the model with the weights that are left, within {limit:g}",
            got="a model that fails on the example" if error is None else f"a relative difference of {error:.1e}",
            cure="Please report this model, and protect the layers whose attributes its code reads.",
        )
    return error


def _difference(model: nn.Module, left: Left, example: Batch, cast: Callable[[Tensor], Tensor]) -> float | None:
    """None where the code fails in this precision."""
    plain, small = copy_model(model, cast), copy_model(model, cast)
    with torch.no_grad():
        for path, (pieces, widths) in left.items():
            weight = core_of(plain.get_submodule(path)).weight
            weight.copy_(pieces.weight.reshape(weight.shape))
            module = small.get_submodule(path)
            put(small, module, bottleneck(module, pieces, widths))
    try:
        wanted, found = (_outputs(one, example, cast) for one in (plain, small))
    except (RuntimeError, AttributeError, TypeError):  # code that insists on a type, or reads a layer's attributes
        return None
    return relative_error(wanted, found)


def _outputs(model: nn.Module, example: Batch, cast: Callable[[Tensor], Tensor]) -> list[Tensor]:
    args, kwargs = map_tensors(cast, (example.args, dict(example.kwargs)))
    with untouched(model, (args, kwargs), proof=True):
        return [tensor.clone() for tensor in tensors_in(model(*args, **kwargs))]


def _wide(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float64, copy=True) if tensor.is_floating_point() else tensor.clone()
