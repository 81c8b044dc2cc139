"""A layer in the eigenbasis of its Kronecker factors, and how much the loss depends on each direction."""

from dataclasses import dataclass

import torch
from torch import Tensor

from secateurs.statistics import Factors

__all__ = ["Directions", "eigenbasis", "rotated", "with_importance"]

_ZERO = 1e-10
"""Eigenvalues below it are noise."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Directions:
    """A layer in its eigenbasis; double precision.

    Attributes:
        weight: rotated, [o, i, K]: output directions, input directions, kernel offsets (one where inputs are patches).
        left: [o, o], output directions as columns.
        right: [i, i], input directions as columns, of channels or of whole patches.
        curvature: [o, i, K], the diagonal of the Fisher matrix in this basis; or [o, i, 1], the same at all offsets.
        importance: [o, i], of every pair of directions.
    """

    weight: Tensor
    left: Tensor
    right: Tensor
    curvature: Tensor
    importance: Tensor

    @property
    def rows(self) -> Tensor:
        """[o], importance of output directions."""
        return self.importance.sum(1)

    @property
    def columns(self) -> Tensor:
        """[i], of input directions."""
        return self.importance.sum(0)


def eigenbasis(moments: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, those of noise 0, and eigenvectors as columns, of a symmetric matrix; double precision."""
    values, vectors = torch.linalg.eigh(moments.double())
    return torch.where(values < _ZERO, 0.0, values), vectors


def rotated(weight: Tensor, factors: Factors) -> Directions:
    """Qs' W Qa, applied at each kernel offset where the inputs' factor is of channels; with the factors' eigenvalues.

    Args:
        weight: [o, i, *kernel] or [o, i], of one group.
    """
    outputs, left = eigenbasis(factors.outputs)
    inputs, right = eigenbasis(factors.inputs[0])
    flat = weight.detach().double().flatten(2) if weight.dim() > 2 else weight.detach().double()[:, :, None]
    if len(right) != flat.shape[1]:
        flat = flat.flatten(1)[:, :, None]
    turned = torch.einsum("or,oik,ic->rck", left, flat, right)
    curvature = (outputs[:, None] * inputs)[:, :, None]
    return with_importance(turned, left, right, curvature, normalize=False)


def with_importance(weight: Tensor, left: Tensor, right: Tensor, curvature: Tensor, *, normalize: bool) -> Directions:
    """W'^2 times the curvature, summed over kernel offsets: twice the growth of the loss to second order, if weights in
    the eigenbasis do not interact (Wang et al., EigenDamage, 2019)."""
    importance = (weight.square() * curvature).sum(2)
    if normalize:
        importance = importance / importance.sum().clamp(min=torch.finfo(torch.float64).tiny)
    return Directions(weight=weight, left=left, right=right, curvature=curvature, importance=importance)
