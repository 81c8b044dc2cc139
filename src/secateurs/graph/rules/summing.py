"""Sums of whole tensors: element-wise operators that tie the producers of what they add up."""

from torch import Tensor

from secateurs.graph._call import Call
from secateurs.graph.rules._biases import count_bias
from secateurs.graph.rules._registry import elementwise, register


@register("add", "sub", "addcmul")
def add(call: Call) -> None:
    """Position by position; a trace notes what is added to something of its own shape that is no weight."""
    elementwise(call)
    record = call.mode.record
    if record is None:
        return
    _count_biases(call)
    shape = call.out.shape
    infos = [call.mode.info(tensor) for tensor in call.tensors if tensor.shape == shape]
    whole = [info for info in infos if info.origin is None]
    if len(whole) > 1:
        record.sums += [label for info in whole for label in info.labels if label is not None]


def _count_biases(call: Call) -> None:
    """Parameters with one dim at most that are added to something that is no parameter."""
    terms = [tensor for tensor in call.args[:2] if isinstance(tensor, Tensor)]
    if call.name.startswith("aten.addcmul") or all(call.mode.info(tensor).origin is not None for tensor in terms):
        return
    for tensor in terms:
        if sum(size > 1 for size in tensor.shape) > 1:
            continue
        count_bias(call, tensor, zip(call.out.shape, call.mode.info(call.out).labels, strict=True))
