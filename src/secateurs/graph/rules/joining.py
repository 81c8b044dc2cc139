"""Concatenation and stacking."""

from secateurs.graph._call import Call
from secateurs.graph._labels import stack_columns
from secateurs.graph.rules._registry import broadcast, register


@register("cat")
def cat(call: Call) -> None:
    """Labels follow one another along the dim; along the others they are unified."""
    parts = [part for part in call.args[0] if part.dim() > 1 or part.numel() > 0]
    dim = call.argument(1, "dim", 0) % parts[0].dim()
    shape = list(call.out.shape)
    labels = []
    for place, size in enumerate(shape):
        if place == dim:
            own = [call.labels(part)[dim] for part in parts]
            labels.append(stack_columns(own, [part.shape[dim] for part in parts]))
            continue
        present = [call.labels(part)[place] for part in parts]
        for other in present[1:]:
            if size != 1:
                call.unify(present[0], other)
        labels.append(next((label for label in present if label is not None), None))
    call.assign(labels)


@register("stack")
def stack(call: Call) -> None:
    """Tensors of equal shape along a new dim."""
    parts = list(call.args[0])
    dim = call.argument(1, "dim", 0) % (parts[0].dim() + 1)
    labels = broadcast(call, parts, tuple(parts[0].shape))
    labels.insert(dim, None)
    call.assign(labels)
