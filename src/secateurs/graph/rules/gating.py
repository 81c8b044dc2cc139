"""Gated units: one half of a dim scales the other."""

from secateurs.graph._call import Call
from secateurs.graph.rules._registry import register


@register("glu")
def glu(call: Call) -> None:
    """The operator halves whatever size is there, so both halves lose the same positions."""
    call.uncounted()
    data = call.args[0]
    dim = call.argument(1, "dim", -1) % data.dim()
    labels = list(call.labels(data))
    label = labels[dim]
    if label is not None:
        half = len(label) // 2
        call.unify(label[:half], label[half:])
        labels[dim] = label[:half]
    call.assign(labels)
