"""Kinds of numbers: what of a file may stand in the place of what a model holds."""

import torch

__all__ = ["kind_of"]


def kind_of(dtype: torch.dtype) -> str:
    """`floating`, `complex`, `boolean` or `whole`; between kinds, a conversion would lose or invent something."""
    if dtype.is_complex:
        return "complex"
    if dtype.is_floating_point:
        return "floating"
    return "boolean" if dtype == torch.bool else "whole"
