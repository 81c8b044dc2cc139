"""One batch through the model: the mean activation of every unit for every image."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from secateurs._errors import PlanError
from secateurs.criteria._data import Batch
from secateurs.criteria._images import PROBE, Layout, means
from secateurs.criteria._unit_mem_layout import Layouts, layouts_of
from secateurs.criteria._unit_mem_places import Part, Place
from secateurs.criteria._unit_mem_watch import Take, check_followed, watched
from secateurs.graph import Graph, map_tensors, tensors_in

__all__ = ["Look"]


class Look:
    """Runs a traced model and sees all units at once.

    Args:
        graph: of the model.
        places: where activations are.
        units: of all axes.
        device: of the model.
    """

    def __init__(self, graph: Graph, places: Sequence[Place], units: int, device: torch.device) -> None:
        self._graph, self._places, self._units, self._device = graph, places, units, device
        self._layouts: Layouts = {}
        self._numbers: Mapping[Part, tuple[Tensor, Tensor, Tensor]] = {
            part: (
                torch.from_numpy(part.positions).to(device),
                torch.from_numpy(part.columns).to(device),
                torch.from_numpy(part.weights).to(device),
            )
            for place in places
            for part in place.parts
        }

    def activations(self, batch: Batch, versions: int) -> Tensor:
        """float64 [images, units]: the mean over versions and places.

        Args:
            batch: arguments with images along the first dim.
            versions: rows in succession that belong to one image.

        Raises:
            PlanError: a batch that does not divide so, or a model that does not follow its trace.
        """
        rows = _rows(batch)
        if rows % versions:
            cure = "A batch holds all versions of its images, beside each other."
            raise PlanError("batches", wanted=f"a multiple of {versions} rows", got=str(rows), cure=cure)
        if rows > 1 and not self._layouts:
            self._layouts = self._probe(batch, min(rows, PROBE))
        result = torch.zeros(rows // versions, self._units, dtype=torch.float64, device=self._device)

        def take(place: Place, found: Tensor, positive: bool) -> None:
            for part in place.parts:
                self._add(result, part, (found, positive), rows)

        if rows:
            self._run(batch, take)
        return result

    def _add(self, result: Tensor, part: Part, seen: tuple[Tensor, bool], rows: int) -> None:
        (found, positive), (positions, columns, weights) = seen, self._numbers[part]
        if found.dim() < -part.dim or found.shape[part.dim] != part.size:
            cure = "Trace the model on an example like the batches."
            shape = list(found.shape)
            raise PlanError("batches", wanted=f"{part.size} units on dim {part.dim}", got=f"shape {shape}", cure=cure)
        layout = self._layouts[part] if rows > 1 else Layout(dim=None)
        mean = means(found, part.dim, layout, rows, rectify=not positive)
        mean = mean.reshape(len(result), -1, part.size).mean(1).to(result.device)
        result.index_add_(1, columns, mean.index_select(1, positions) * weights)

    def _probe(self, batch: Batch, rows: int) -> Layouts:
        few = _changed(batch, lambda tensor: tensor[:rows])

        def run(rolled: bool, take: Take) -> None:
            self._run(_changed(few, lambda tensor: tensor.roll(1, 0)) if rolled else few, take)

        return layouts_of(self._places, run, rows)

    def _run(self, batch: Batch, take: Take) -> None:
        with watched(self._graph, self._places, take) as calls:
            batch.outputs(self._graph.model)
        check_followed(self._graph, self._places, calls)


def _rows(batch: Batch) -> int:
    first = next(iter(tensors_in((batch.args, dict(batch.kwargs)))), None)
    if first is None or not first.dim():
        cure = "Give batches of tensors with images along the first dim."
        raise PlanError("batches", wanted="a tensor of images", got="none", cure=cure)
    return len(first)


def _changed(batch: Batch, change: Any) -> Batch:
    """Every argument that goes with the images changed."""
    rows = _rows(batch)

    def changed(tensor: Tensor) -> Tensor:
        result: Tensor = change(tensor) if tensor.dim() and len(tensor) == rows else tensor
        return result

    args, kwargs = map_tensors(changed, (batch.args, dict(batch.kwargs)))
    return replace(batch, args=args, kwargs=kwargs)
