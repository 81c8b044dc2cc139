"""Tucker decomposition of a kernel over its channels."""

import torch
from torch import Tensor

__all__ = ["tucker"]

_ROUNDS = 10


def tucker(weight: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor, Tensor]:
    """Orthonormal factors [o, rows] and [i, columns] and the core [rows, columns, K], whose product is near `weight`.

    Higher-order orthogonal iteration, from the higher-order SVD (De Lathauwer et al., On the best rank-1 and
    rank-(R1, ..., RN) approximation of higher-order tensors, 2000).

    Args:
        weight: [o, i, K].
    """
    right = _leading(weight.transpose(0, 1), columns)
    left = _leading(weight, rows)
    for _ in range(_ROUNDS):
        left = _leading(torch.einsum("oik,ic->ock", weight, right), rows)
        right = _leading(torch.einsum("oik,or->irk", weight, left), columns)
    return left, torch.einsum("oik,or,ic->rck", weight, left, right), right


def _leading(tensor: Tensor, count: int) -> Tensor:
    """Left singular vectors of the first dim against the others; completed where there are fewer than asked for."""
    flat = tensor.flatten(1)
    left: Tensor = torch.linalg.svd(flat, full_matrices=flat.shape[1] < count).U
    return left[:, :count]
