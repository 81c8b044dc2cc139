"""What must hold of a plan that comes from a file, before anything is done with it."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod
from operator import lt
from typing import TYPE_CHECKING, Any

from secateurs.graph._cost import Cost

if TYPE_CHECKING:
    from secateurs.graph._plan import Cut, Plan

__all__ = ["check_plan", "integers"]

_LARGEST = 2**48
_MOST = 2**80  # of anything counted


def integers(values: Any) -> tuple[int, ...]:
    """A list of integers as a tuple.

    Raises:
        TypeError: something else.
    """
    if not isinstance(values, list) or any(type(value) is not int for value in values):
        raise TypeError(f"a list of integers wanted, got {values!r:.60}")
    return tuple(values)


def check_plan(plan: "Plan") -> None:
    """Refuse what no trace would have made.

    Raises:
        ValueError, TypeError, KeyError: with what is wrong.
    """
    _check_sizes(plan)
    places = [(cut.path, cut.dim) for cut in plan.cuts]
    if len(set(places)) < len(places):
        raise ValueError("two cuts of one dim")
    for cut in plan.cuts:
        _check_cut(cut, plan.shapes)
    for name, units in plan.removed.items():
        _check_some(units, plan.sizes[name], f"axis {name}")
    for entry in plan.renumbered:
        if entry.path not in plan.shapes or not _ascends(entry.removed, _LARGEST) or not entry.removed:
            raise ValueError(f"positions {entry.removed[:5]}... counted by {entry.path}")
    most = max((prod(shape) for shape in plan.shapes.values()), default=_LARGEST)
    for scatter in plan.scatters:
        scatter.check()
        if scatter.size > most:
            raise ValueError(f"a scatter to {scatter.size} places, more than any tensor has")
    for edit in plan.edits:
        edit.check()
        if edit.after > max(most, edit.before):
            raise ValueError(f"an edit to a size that no tensor has: {edit}")
    for cost in (plan.before, plan.cost):
        _check_cost(cost)
    _check_inputs(plan.inputs)


def _check_sizes(plan: "Plan") -> None:
    if any(type(size) is not int or not 0 < size < _LARGEST for size in plan.sizes.values()):
        raise ValueError("an axis of impossible size")
    if any(not 0 <= size < _LARGEST for shape in plan.shapes.values() for size in shape):
        raise ValueError("a tensor of impossible shape")
    for path in plan.aliases.values():
        if path not in plan.shapes:
            raise ValueError(f"an alias of {path:.60}, which is no tensor of the plan")


def _check_cut(cut: "Cut", shapes: Mapping[str, Sequence[int]]) -> None:
    shape = shapes[cut.path]
    if type(cut.dim) is not int or type(cut.size) is not int:
        raise TypeError(f"a cut of dim {cut.dim!r:.20} of size {cut.size!r:.20}")
    if not 0 <= cut.dim < len(shape) or shape[cut.dim] != cut.size:
        raise ValueError(f"a cut of dim {cut.dim} of {cut.path}, whose shape is {tuple(shape)}")
    _check_some(cut.removed, cut.size, f"{cut.path}[{cut.dim}]")


def _check_some(removed: Sequence[int], size: int, what: str) -> None:
    """Some positions are removed, and some stay."""
    if not _ascends(removed, size) or not 0 < len(removed) < size:
        raise ValueError(f"positions {list(removed[:5])}... of {what} of size {size}")


def _ascends(positions: Sequence[int], size: int) -> bool:
    return not positions or (
        positions[0] >= 0 and positions[-1] < size and all(lt(low, high) for low, high in pairwise(positions))
    )


def _check_cost(cost: Cost) -> None:
    numbers = (cost.params, cost.bytes, cost.macs, cost.activation_bytes)
    if any(type(number) is not int or not 0 <= number < _MOST for number in numbers) or type(cost.train_gops) not in (
        int,
        float,
    ):
        raise TypeError(f"a cost of {numbers}")
    if not isinstance(cost.uncounted, Mapping) or any(type(count) is not int for count in cost.uncounted.values()):
        raise TypeError(f"uncounted operators {cost.uncounted!r:.60}")


def _check_inputs(inputs: Any) -> None:
    args, kwargs = inputs["args"], inputs["kwargs"]
    if not isinstance(args, list) or not isinstance(kwargs, Mapping):
        raise TypeError(f"inputs {inputs!r:.60}")
