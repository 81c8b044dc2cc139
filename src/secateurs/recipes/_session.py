"""The live objects of one run: data, device, and the model as the stages have left it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from secateurs import _distributed
from secateurs._files import save_tensors
from secateurs.data import (
    SPLIT_FILE,
    Batches,
    Division,
    ImageSet,
    Splits,
    StreamedBatches,
    StreamedSet,
    load,
)
from secateurs.graph import outline, trace
from secateurs.masks import UnitMasks, apply_masks
from secateurs.recipes._config import Recipe
from secateurs.recipes._data import epoch_images, evaluation_batches, training_batches
from secateurs.recipes._directory import RunDirectory
from secateurs.recipes._first_model import FirstModel
from secateurs.recipes._part import Part
from secateurs.recipes._seeds import stage_seed
from secateurs.recipes.objectives import PICTURES_FILE, Purpose, open_objective
from secateurs.recipes.stages import MASKS_FILE, MODEL_FILE, Step, expand, left_out
from secateurs.surgery import save
from secateurs.training import resolve_device

__all__ = ["Session", "open_session"]


@dataclass
class Session:
    """What the stages of a run share; only `model` and `masks` change, from stage to stage.

    Attributes:
        objective: what the model is for.
        model: as the stages so far have left it.
        steps: all stages, in order.
        masks: on the weights of `model`, which are zero where these say so; None while there are none.
        part: what the run is in its study, with the display that follows it.
        notify: told what is being done, one line at a time.
        checkpoint_minutes: longest time between two checkpoints of a training.
        outline: what may be cut in the network that the run begins with, and what not, as plain data.
    """

    recipe: Recipe
    directory: RunDirectory
    steps: tuple[Step, ...]
    splits: Splits
    device: torch.device
    objective: Purpose
    model: nn.Module
    part: Part
    notify: Callable[[str], None]
    masks: UnitMasks | None = None
    checkpoint_minutes: float = 10.0
    outline: Mapping[str, Any] = field(default_factory=dict)

    def training_batches(self, step: Step, *, channels_last: bool) -> Batches | StreamedBatches:
        """Shuffled and augmented; each stage draws its own random numbers."""
        seed = stage_seed(self.recipe.seed, step.index)
        return training_batches(self.recipe.batches, self.splits, self.device, seed=seed, channels_last=channels_last)

    @property
    def epoch_images(self) -> int:
        """Training images in an epoch."""
        return epoch_images(self.recipe.batches, self.splits)

    def evaluation_batches(self, images: ImageSet | StreamedSet, *, whole: bool = False) -> Batches | StreamedBatches:
        """In order, as they are; where training crops them to a size, their centre in that size.

        Under several ranks, this one's part of each batch unless `whole`.
        """
        return evaluation_batches(self.recipe.batches, self.splits, images, self.device, whole=whole)

    def example(self) -> Tensor:
        """One test image as a batch of one."""
        return self.first_images()[:1]

    def first_images(self) -> Tensor:
        """The first batch of test images."""
        images, _ = next(iter(self.evaluation_batches(self.splits.test, whole=True)))
        return images

    def save_model(self, step: Step) -> None:
        """Write the model as the stage leaves it; it carries the plans that lead to it from the dense one."""
        save(self.model, self.directory.folder(step.name) / MODEL_FILE)

    def save_pictures(self, step: Step) -> None:
        """Write what the model makes of some test images, if its objective has that to show."""
        pictures = self.objective.pictures(self.model, self.first_images())
        if pictures:
            save_tensors(self.directory.folder(step.name) / PICTURES_FILE, dict(pictures))

    def restored(self, count: int) -> nn.Module:
        """The model as the first `count` stages left it, from the files alone."""
        first = _first(self.recipe, self.splits, self.device)
        changed = [step for step in self.steps[:count] if step.stage.changes and left_out(self, step) is None]
        # What a stage wrote has every plan since the dense network in it, also those of the weights it began with.
        model = changed[-1].stage.restore(self, changed[-1], first.dense()) if changed else first.build()
        return model.to(self.device)

    def other(self, weights: Path) -> nn.Module:
        """The network that the recipe names, with other weights: those of a file, or what a run has left."""
        first = _first(self.recipe, self.splits, self.device)
        section = first.section.model_copy(update={"weights": weights})
        return replace(first, section=section).build().to(self.device)

    def restored_masks(self, count: int) -> UnitMasks | None:
        """The masks in force after the first `count` stages."""
        for step in reversed(self.steps[:count]):
            if step.stage.masking == "cuts":
                return None
            if step.stage.masking == "makes":
                return UnitMasks.load(self.directory.folder(step.name) / MASKS_FILE)
        return _initial_masks(self.recipe)

    def unmasked(self, step: Step) -> nn.Module:
        """The model as it was before the masks in force at `step` were made."""
        makers = [earlier for earlier in self.steps[: step.index] if earlier.stage.masking == "makes"]
        return self.restored(makers[-1].index if makers else 0)

    def first_cut(self) -> Step | None:
        """The first stage that makes the model smaller."""
        return next((step for step in self.steps if step.stage.cuts), None)


def open_session(
    recipe: Recipe,
    directory: RunDirectory,
    *,
    part: Part,
    notify: Callable[[str], None],
) -> Session:
    """Load the data and build the model; everything that the recipe names is tried here, before any work."""
    steps = expand(recipe.stages)
    for step in steps:
        step.stage.check()
    device = resolve_device(recipe.device)
    splits = _splits(recipe, directory, device, notify)
    for step in steps:
        step.stage.check_data(splits)
    epoch_images(recipe.batches, splits)
    session = Session(
        recipe=recipe,
        directory=directory,
        steps=steps,
        splits=splits,
        device=device,
        objective=open_objective(recipe.purpose, splits),
        model=_first(recipe, splits, device).build().to(device),
        part=part,
        notify=notify,
    )
    # A user's network may begin with random numbers that no seed of ours has set.
    _distributed.broadcast_tensors([*session.model.parameters(), *session.model.buffers()])
    graph = trace(session.model, args=(session.example(),))  # a network that cannot take these images says so here
    session.outline = outline(graph)
    session.masks = _initial_masks(recipe)
    if session.masks is not None:
        apply_masks(session.model, session.masks.weights(graph))
    return session


def _initial_masks(recipe: Recipe) -> UnitMasks | None:
    return UnitMasks.load(recipe.model.masks) if recipe.model.masks is not None else None


def _splits(recipe: Recipe, directory: RunDirectory, device: torch.device, notify: Callable[[str], None]) -> Splits:
    """The images; divided as they were when the run began."""
    stored = directory.path / SPLIT_FILE
    division = Division.load(stored) if _distributed.decided(stored.is_file) else None
    splits = load(recipe.data, device=str(device), notify=notify, division=division)
    return splits.renumbered() if recipe.model.head == "subset" else splits


def _first(recipe: Recipe, splits: Splits, device: torch.device) -> FirstModel:
    batches = evaluation_batches(recipe.batches, splits, splits.test, device, whole=True)
    return FirstModel(
        section=recipe.model,
        splits=splits,
        shape=batches.shape,
        seed=recipe.seed,
        example=lambda: next(iter(batches))[0][:1].cpu(),
    )
