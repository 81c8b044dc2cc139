"""How far two lists of outputs are apart."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["relative_error", "relative_errors"]


def relative_error(expected: Sequence[Tensor], got: Sequence[Tensor]) -> float:
    """Largest |expected - got| over largest |expected|, over all outputs; infinite where shapes or counts differ."""
    return max(relative_errors(expected, got), default=0.0)


def relative_errors(expected: Sequence[Tensor], got: Sequence[Tensor]) -> list[float]:
    """Largest |expected - got| over largest |expected|, per output; infinities and NaN must be at the same places."""
    if len(expected) != len(got):
        return [float("inf")]
    return [_error(a, b) for a, b in zip(expected, got, strict=True)]


def _error(expected: Tensor, got: Tensor) -> float:
    if expected.shape != got.shape:
        return float("inf")
    if expected.numel() == 0:
        return 0.0
    expected, got = _real(expected), _real(got).to(expected.device)
    odd = ~expected.isfinite()
    if not torch.equal(odd, ~got.isfinite()) or not _equal(expected[odd], got[odd]):
        return float("inf")
    difference = (expected - got).masked_fill(odd, 0).abs().max().item()
    scale = expected.masked_fill(odd, 0).abs().max().item()
    return difference / scale if scale > 0 else difference


def _equal(a: Tensor, b: Tensor) -> bool:
    """Whether infinities have the same sign; NaN equals NaN."""
    return torch.equal(a.nan_to_num(0.0), b.nan_to_num(0.0))


def _real(tensor: Tensor) -> Tensor:
    tensor = tensor.to_dense() if tensor.layout != torch.strided else tensor
    return (torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor).to(torch.float64)
