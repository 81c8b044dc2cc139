"""New tensors whose contents do not come from their argument."""

from secateurs.graph._call import Call
from secateurs.graph.rules._registry import register


@register("new_empty", "new_zeros", "new_ones", "new_full", "new_empty_strided", "empty", "zeros", "ones", "full")
@register("arange", "linspace", "eye", "rand", "randn", "randint", "scalar_tensor", "empty_strided", "tril_indices")
def create(call: Call) -> None:
    """No dim of the result has units: what it is combined with stays."""
    call.assign([None for _ in call.out.shape])
