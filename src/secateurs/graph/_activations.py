"""Results of operators that are known again when the model really runs: where the activations of units are.

Most operators of a trace differ from those of a real run, since torch chooses kernels by device and size. What is told
apart here is the same in both: which nonlinearity or normalisation in succession, or which use of which weight.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

from torch import Tensor

from secateurs.graph._labels import Label

__all__ = ["Activation", "Family", "family_in", "from_data", "is_positive", "weight_and_data"]

Family = Literal["rectifier", "gate", "norm", "recurrent", "product", "input"]
"""Rectifiers pass what is high and hold back what is low; gates are bounded on both sides; norms use what they have
learned and not the batch at hand; products use a weight, and have an input."""

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
    "recurrent": ("lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"),
    "product": ("convolution", "mm", "addmm", "bmm", "baddbmm", "linear"),
}
_FAMILIES: Mapping[str, Family] = {f"aten.{name}": family for family, names in _NAMES.items() for name in names}
_POSITIVE = {"aten.relu", "aten.relu6", "aten.softplus", "aten.sigmoid", "aten.hardsigmoid"}


class Activation(NamedTuple):
    """A result of a trace."""

    family: Family
    weight: str
    """Path of the weight that a product uses, or an input meets; empty for other families."""
    operator: int
    """Number of the operator."""
    labels: tuple[Label | None, ...]


def family_in(func: Any, args: tuple[Any, ...]) -> Family | None:
    """The family of an operator, in place or not, called with these arguments; `None` for most."""
    family = _family_of(func)
    return None if family == "norm" and from_data(func, args) else family


def from_data(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether the statistics of a batch norm are those of its input, not stored ones: so it is in instance norms, and
    in code that standardises weights."""
    name, place = _schema(func)
    return name.endswith("_with_update") if place is None else bool(args[place])


def weight_and_data(operands: Sequence[Tensor], paths: Sequence[str | None]) -> tuple[str | None, Tensor | None]:
    """Of a product: the path of its weight, and the operand that it meets; vectors (biases) are neither.

    Args:
        operands: all tensors that it takes.
        paths: of the parameter that each is a view of; `None` for others.
    """
    matrices = [(path, tensor) for path, tensor in zip(paths, operands, strict=True) if tensor.dim() > 1]
    weight = next((path for path, _ in matrices if path is not None), None)
    return weight, next((tensor for path, tensor in matrices if path is None), None)


@cache
def is_positive(func: Any) -> bool:
    """Whether an operator gives nothing below 0, whatever its other arguments."""
    name = str(func.overloadpacket)
    return name in _POSITIVE or name.removesuffix("_") in _POSITIVE


@cache
def _family_of(func: Any) -> Family | None:
    name = str(func.overloadpacket)
    return _FAMILIES.get(name, _FAMILIES.get(name.removesuffix("_")))


@cache
def _schema(func: Any) -> tuple[str, int | None]:
    """The name of a norm, and the place of what says whether it trains."""
    names = [argument.name for argument in func._schema.arguments]
    return str(func.overloadpacket), names.index("training") if "training" in names else None
