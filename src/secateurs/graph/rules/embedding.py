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
