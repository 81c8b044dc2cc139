"""Repair after a cut, as recipes ask for it."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field
from torch import Tensor

from secateurs import _distributed
from secateurs.recipes._section import STRICT, Count
from secateurs.surgery import RepairOptions, Result, repair

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["RepairSection", "repaired"]

_USUAL = RepairOptions()


class RepairSection(BaseModel):
    """How what is left takes over from what is gone, in closed form, before any training."""

    model_config = STRICT
    images: Count = 1024
    """How many training images are looked at, the first ones."""
    ridge: Annotated[float, Field(ge=0)] = _USUAL.ridge
    """What keeps weights at their values, over the mean variance of what a layer reads."""
    layers: Literal["all", "consumers"] = _USUAL.layers
    """Fit all layers from the first cut on, or those alone that read what was cut."""
    parallel: bool = _USUAL.parallel
    """Fit every layer on what the dense model reads, instead of one layer after the other."""
    batch_norm: bool = _USUAL.batch_norm
    """Let stored statistics move as the cut moved those of the images."""
    rows: Count = _USUAL.rows
    """How many patches of a layer are looked at, or 64 for each input if that is more."""
    moments_bytes: Count = _USUAL.moments_bytes
    """The most that one layer's second moments take; wider ones combine channels alone."""

    @property
    def plain(self) -> RepairOptions:
        """Without the images."""
        return RepairOptions(**self.model_dump(exclude={"images"}))


def repaired(session: "Session", result: Result, section: RepairSection) -> dict[str, Any]:
    """Repair the cut model, the same on every rank; what was done, for run.json."""
    images = session.evaluation_batches(session.splits.train, whole=True)
    batches, _ = session.objective.for_scores(images)
    done = repair(result, _first(iter(batches), section.images), options=section.plain).repair
    assert done is not None
    _distributed.broadcast_tensors([*result.model.parameters(), *result.model.buffers()])
    return {"layers": [asdict(layer) for layer in done.layers], "left": dict(done.left), "norms": done.norms}


def _first(batches: Iterator[tuple[Tensor, Any]], images: int) -> list[Tensor]:
    """The inputs of as many images; fewer where there are not so many."""
    found: list[Tensor] = []
    for inputs, _ in batches:
        found.append(inputs[:images])
        images -= len(inputs)
        if images <= 0:
            break
    return found
