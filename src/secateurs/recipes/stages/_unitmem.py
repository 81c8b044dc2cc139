"""UnitMem of a network between two levels: how it is measured, and the file that it is kept in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from secateurs._files import save_tensors
from secateurs.criteria import Memorisation, UnitMem
from secateurs.data import ViewOptions
from secateurs.graph import Graph
from secateurs.recipes._batches import AugmentSection
from secateurs.recipes._level_format import UNITMEM_FILE
from secateurs.recipes._level_images import save_level_images
from secateurs.recipes._section import STRICT, Count
from secateurs.recipes.stages._base import Step
from secateurs.recipes.stages._level_units import LevelUnits

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["UNITMEM", "Observed", "UnitMemSection", "observe"]

UNITMEM = "unitmem"
"""The criterion's name; levels measure it themselves, on the images of their `unitmem` section."""


class UnitMemSection(BaseModel):
    """Which images UnitMem looks at, and how."""

    model_config = STRICT
    images: Count = 1000
    """Training images that are looked at, all where there are fewer."""
    augmentations: Count = 10
    """Versions of each of them."""
    batch: Count = 500
    """Images in a batch, each with all its versions (`UM_batch`)."""
    lists: Literal["each", "one"] = "each"
    """Other images at each level, or the same at all of them."""
    seed: int | None = Field(default=None, ge=0)
    """Of the choice of images and of what is done to them; None for the run's, so that all methods see the same."""
    augment: AugmentSection | None = None
    """What is done to each version; None for more than training does: a random resized crop, mirroring, strong jitter
    and grayscale. `{}` leaves images as they are."""
    rest: Literal["mean", "median", "second"] = "mean"
    """What the highest activation is compared with: the mean or the median of the others, or the second highest."""
    at: Literal["read", "norm"] = "read"
    """Where activations are taken: behind the nonlinearity, or at the norm's output through a ReLU."""

    def view(self, level: int, run_seed: int) -> ViewOptions:
        """The images of a level."""
        return ViewOptions(
            images=self.images,
            augmentations=self.augmentations,
            batch_size=self.batch,
            augment=None if self.augment is None else self.augment.augment(),
            seed=run_seed if self.seed is None else self.seed,
            level=level if self.lists == "each" else 0,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Observed:
    """What was seen of a network.

    Attributes:
        values: axis name -> UnitMem, float64 [units].
        results: `mean_unitmem` and `by_layer` for run.json.
    """

    values: Mapping[str, Tensor]
    results: dict[str, Any]


def observe(
    session: "Session", step: Step, graph: Graph, units: LevelUnits, section: UnitMemSection, **how: Any
) -> Observed:
    """Measure UnitMem of all units that take part, and write the level's file.

    Args:
        how: `level`, its number, and whether `activations` are kept.
    """
    view = section.view(how["level"], session.recipe.seed)(session.evaluation_batches(session.splits.train))
    criterion = UnitMem(rest=section.rest, at=section.at)
    seen = criterion.observe(graph, view, activations=how["activations"])
    tensors = {"indices": view.indices.clone()}
    for layer in units.layers:
        tensors |= {f"{layer}.{name}": tensor for name, tensor in _of_layer(layer, units, seen).items()}
    folder = session.directory.folder(step.name)
    save_tensors(folder / UNITMEM_FILE, tensors)
    save_level_images(folder, tensors, session.splits.train)
    values = {layer: tensors[f"{layer}.values"] for layer in units.layers}
    mean = float(torch.cat([*values.values()]).mean())
    by_layer = {layer: float(own.mean()) for layer, own in values.items() if len(own)}
    return Observed(
        values={own.axis.name: seen[own.axis.name].values for own in units.owns},
        results={"mean_unitmem": mean, "by_layer": by_layer},
    )


def _of_layer(layer: str, units: LevelUnits, seen: Mapping[str, Memorisation]) -> dict[str, Tensor]:
    """A layer's part of the file: its units that are alive, ascending by their original index."""
    names = [own.axis.name for own in units.owns if own.layer == layer]
    alive = {name: units.alive(name) for name in names}
    places = torch.tensor([units.origins[name][unit][0] for name in names for unit in alive[name]], dtype=torch.int64)
    order = places.argsort()
    found = {
        "values": torch.cat([seen[name].values[alive[name]].double() for name in names])[order],
        "images": torch.cat([seen[name].images[alive[name]] for name in names])[order],
        "units": places[order],
    }
    kept = [seen[name].activations for name in names]
    columns = [own[:, alive[name]] for own, name in zip(kept, names, strict=True) if own is not None]
    return found | ({"activations": torch.cat(columns, dim=1)[:, order]} if columns else {})
