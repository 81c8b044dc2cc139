"""Two plans in a row as one plan for the dense model."""

from dataclasses import replace

from secateurs.graph import Cut, Plan

__all__ = ["compose"]


def compose(first: Plan | None, second: Plan) -> Plan:
    """One plan for the dense model that does what `first`, and then `second` on its result, do."""
    if first is None:
        return second
    earlier = {(cut.path, cut.dim): cut for cut in first.cuts}
    later = {(cut.path, cut.dim): cut for cut in second.cuts}
    edits = {(edit.path, edit.name, edit.index): edit for edit in first.edits}
    for edit in second.edits:
        key = (edit.path, edit.name, edit.index)
        edits[key] = replace(edit, before=edits[key].before if key in edits else edit.before)
    return replace(
        first,
        removed={
            name: _joined(first.removed.get(name, ()), second.removed.get(name, ()), size)
            for name, size in first.sizes.items()
            if name in first.removed or name in second.removed
        },
        cuts=tuple(_joined_cut(earlier.get(key), later.get(key)) for key in {**earlier, **later}),
        edits=tuple(edits.values()),
        replaced=tuple(dict.fromkeys((*first.replaced, *second.replaced))),
        cost=second.cost,
        graph=None,
    )


def _joined(first: tuple[int, ...], second: tuple[int, ...], size: int) -> tuple[int, ...]:
    """Positions of the dense dim: `second` counts what `first` left."""
    gone = set(first)
    left = [position for position in range(size) if position not in gone]
    return tuple(sorted((*first, *(left[position] for position in second))))


def _joined_cut(first: Cut | None, second: Cut | None) -> Cut:
    if first is None or second is None:
        only = first or second
        assert only is not None
        return only
    return replace(first, removed=_joined(first.removed, second.removed, first.size))
