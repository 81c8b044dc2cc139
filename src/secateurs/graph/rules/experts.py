"""Products with one of several matrices per group of rows, as mixtures of experts compute them."""

from secateurs.graph._call import Call
from secateurs.graph.rules._registry import register, unknown


@register("_grouped_mm")
def grouped_mm(call: Call) -> None:
    """[n, k] x [e, k, m]: rows up to each offset meet the next expert, so every row meets one."""
    left, right = call.args[:2]
    if (left.dim(), right.dim()) != (2, 3):
        unknown(call)
        return
    call.contract((0, 1), (1, 1))
    rows, inner = call.labels(left)
    experts, _, columns = call.labels(right)
    call.fix(experts, "rows are sent to it by number")
    call.macs([(left.shape[0], rows), (left.shape[1], inner), (right.shape[2], columns)], (left, right))
    call.mark("hidden", columns, producer=right)
    call.assign([rows, columns])
