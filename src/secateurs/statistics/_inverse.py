"""Inverses of factors that may not have one."""

import torch
from torch import Tensor

__all__ = ["DAMPING", "inverse"]

DAMPING = 1e-3
"""Of a factor's mean eigenvalue: few images have fewer directions than a layer."""


def inverse(moments: Tensor, damping: float = DAMPING) -> Tensor:
    """Of symmetric matrices [..., d, d] with `damping` times the mean eigenvalue of all on the diagonal; double
    precision."""
    wide = moments.double()
    mean = wide.diagonal(dim1=-2, dim2=-1).mean()
    ridge = damping * mean if mean > 0 else torch.ones_like(mean)
    found: Tensor = torch.linalg.inv(wide + ridge * torch.eye(wide.shape[-1]).to(wide))
    return found
