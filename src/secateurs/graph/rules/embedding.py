"""Tables that are looked up by index."""

from secateurs.graph._call import Call
from secateurs.graph.rules._registry import register


@register("embedding")
def embedding(call: Call) -> None:
    """Table [rows, width], indices [...]: rows stay, the width is free."""
    table, indices = call.args[:2]
    call.uncounted()
    rows, width = call.labels(table)
    call.fix(rows, "rows are looked up by index")
    call.mark("embed", width, producer=table)
    for label in call.labels(indices):
        call.fix(label, "indices into a table")
    call.assign([*[None for _ in indices.shape], width])


@register("_embedding_bag", "_embedding_bag_forward_only")
def bag(call: Call) -> None:
    """Sum, mean or maximum of looked-up rows [bags, width]; weights per row are plain numbers."""
    table, *others = call.tensors
    call.uncounted()
    rows, width = call.labels(table)
    call.fix(rows, "rows are looked up by index")
    call.mark("embed", width, producer=table)
    for tensor in others:
        for label in call.labels(tensor):
            call.fix(label, "indices into a table")
    # The positions that a maximum came from are [bags, width] too.
    widths = [width if tensor.dim() == 2 else None for tensor in call.out]
    call.assign(*[[None, label][-tensor.dim() :] for tensor, label in zip(call.out, widths, strict=True)])
