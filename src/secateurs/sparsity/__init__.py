"""Penalties that draw units to zero while a network trains, so that the cut that follows takes little away."""

from secateurs.sparsity._bn_scale import ScaleLasso
from secateurs.sparsity._group_lasso import GroupLasso
from secateurs.sparsity._growing import Growing
from secateurs.sparsity._penalty import Penalty

__all__ = ["GroupLasso", "Growing", "Penalty", "ScaleLasso"]
