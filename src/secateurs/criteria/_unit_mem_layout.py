"""Where the images of a batch lie in the activations that UnitMem looks at."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from torch import Tensor

from secateurs._errors import PlanError
from secateurs.criteria._images import Layout, chosen, means, possible
from secateurs.criteria._unit_mem_places import Part, Place
from secateurs.criteria._unit_mem_watch import Take

__all__ = ["Layouts", "layouts_of"]

Layouts = Mapping[Part, Layout]


def layouts_of(places: Sequence[Place], run: Callable[[bool, Take], None], rows: int) -> Layouts:
    """Where the images of a small batch are in each activation: where it changes places as they do.

    Args:
        places: to look at.
        run: calls the model under watch; its images one place further if the first argument says so, the last first.
        rows: images in the batch, 2 or more.

    Raises:
        PlanError: an activation that mixes images.
    """
    before: dict[Part, list[_Found]] = {}
    after: dict[Part, list[_Found]] = {}
    for rolled, found in ((False, before), (True, after)):
        run(rolled, partial(_look, found, rows))
    parts = {part: place for place in places for part in place.parts}
    return {part: _layout(parts[part], before[part], after[part]) for part in before}


_Found = tuple[Layout, Tensor]


def _look(found: dict[Part, list[_Found]], rows: int, place: Place, tensor: Tensor, positive: bool) -> None:
    for part in place.parts:
        layouts = possible(tensor, part.dim, rows)
        found[part] = [(layout, means(tensor, part.dim, layout, rows, rectify=not positive)) for layout in layouts]


def _layout(place: Place, before: Sequence[_Found], after: Sequence[_Found]) -> Layout:
    layout = chosen(before, after)
    if layout is None:
        raise PlanError(
            f"criterion 'unitmem', {' '.join(place.source)}",
            wanted="one activation for each image of a batch",
            got="numbers that do not go with the images when these change places",
            cure="Put images along the first dim of the arguments; the model must not mix them.",
        )
    return layout
