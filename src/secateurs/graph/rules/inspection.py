"""Values that the code looks at while it runs."""

from secateurs.graph._call import Call
from secateurs.graph.rules._registry import register


@register("equal", "is_nonzero", "item", "_local_scalar_dense")
def inspect(call: Call) -> None:
    """What the code does next may depend on every position: they stay."""
    for tensor in call.tensors:
        for label in call.labels(tensor):
            call.fix(label, "its values are looked at")
