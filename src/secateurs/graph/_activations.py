"""Results of operators that are known again when the model really runs: where the activations of units are.

Most operators of a trace differ from those of a real run, since torch chooses kernels by device and size. What is told
apart here is the same in both: which nonlinearity or normalisation in succession, or which use of which weight.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, NamedTuple

from secateurs.graph._labels import Label

__all__ = ["Activation", "Family", "family_of", "is_positive"]

Family = Literal["rectifier", "gate", "norm", "product"]
"""Rectifiers pass what is high and hold back what is low; gates are bounded on both sides; products use a weight."""

_NAMES: Mapping[Family, tuple[str, ...]] = {
    "rectifier": (
        *("relu", "relu6", "hardtanh", "leaky_relu", "_prelu_kernel", "rrelu_with_noise", "threshold", "clamp_min"),
        *("elu", "celu", "selu", "gelu", "silu", "mish", "hardswish", "softplus"),
    ),
    "gate": ("sigmoid", "hardsigmoid", "tanh"),
    "norm": (
        *("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"),
        *("_batch_norm_with_update", "_batch_norm_no_update", "cudnn_batch_norm", "miopen_batch_norm"),
        *("native_layer_norm", "native_group_norm"),
    ),
    "product": ("convolution", "mm", "addmm", "bmm", "baddbmm", "linear"),
}
_FAMILIES: Mapping[str, Family] = {f"aten.{name}": family for family, names in _NAMES.items() for name in names}
_POSITIVE = {"aten.relu", "aten.relu6", "aten.softplus", "aten.sigmoid", "aten.hardsigmoid"}


class Activation(NamedTuple):
    """A result of a trace."""

    family: Family
    weight: str
    """Path of the weight that a product uses; empty for other families."""
    operator: int
    """Number of the operator."""
    labels: tuple[Label | None, ...]


@cache
def family_of(func: Any) -> Family | None:
    """The family of an operator, in place or not; `None` for most."""
    name = str(func.overloadpacket)
    return _FAMILIES.get(name, _FAMILIES.get(name.removesuffix("_")))


@cache
def is_positive(func: Any) -> bool:
    """Whether an operator gives nothing below 0, whatever its other arguments."""
    name = str(func.overloadpacket)
    return name in _POSITIVE or name.removesuffix("_") in _POSITIVE
