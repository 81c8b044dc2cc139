"""Another look at the same memory."""

from secateurs.graph._call import Call
from secateurs.graph.rules._registry import register, unknown


@register("as_strided")
def as_strided(call: Call) -> None:
    """Sizes and strides as they were, up to dims of one position: every dim stays what it is. Else all are fixed."""
    data, sizes, strides = call.args[:3]
    before = [(size, stride) for size, stride in zip(data.shape, data.stride(), strict=True) if size != 1]
    after = [(size, stride) for size, stride in zip(sizes, strides, strict=True) if size != 1]
    offset = call.argument(3, "storage_offset")
    if before != after or len(sizes) != data.dim() or offset not in (None, data.storage_offset()):
        unknown(call)
        return
    call.assign_view(call.labels(data))
