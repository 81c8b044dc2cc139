"""What the gradients of biases cost."""

from collections.abc import Iterable

from torch import Tensor

from secateurs.graph._call import Call
from secateurs.graph._labels import Label
from secateurs.graph._record import Term, Work, constant_factor

__all__ = ["count_bias"]


def count_bias(call: Call, bias: Tensor, dims: Iterable[tuple[int, Label | None]]) -> None:
    """The gradient of a trained parameter that is added sums over every position that it is added to.

    `dims` are those of what it is added to, each a size and its label.

    Anything else that is added passes its gradient on, which is nothing to compute.
    """
    record, info = call.mode.record, call.mode.info(bias)
    if record is None or info.origin is None or not info.grad:
        return
    factor, kept = constant_factor(dims)
    record.terms.append(Term(call.mode.modules[-1], factor, kept, Work(biases=1)))
