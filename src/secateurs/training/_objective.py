"""What training minimises."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import torch.nn.functional as F
from torch import Tensor, nn

from secateurs.training._batches import check_first

__all__ = ["Classification", "Objective", "Place", "end_backward", "start_step", "start_training"]

Place: TypeAlias = Callable[[nn.Module], Callable[[Tensor], Any]]
"""What takes another network into a training."""


class Objective(Protocol):
    """A loss over one batch: of classes, of a reconstruction, with a teacher, with a penalty.

    `loss(module, images, labels)` calls `module` (at least once, through its `forward`: that is where precision,
    compilation and other devices come in) and returns the mean loss over the batch's images, a scalar to go
    backwards from, and the scores [B, classes] that tell how many were right, or None where nothing is classified.
    It must not read values back to the host, which would make the device wait.

    With scores, validation is by plain cross-entropy and accuracy of the module; without, by this loss.

    If it has a method `validate(module, images)`, validation takes the scores [B, classes] from there, and with them
    figures of each image by name, [B] each, whose means over all images the epoch's record has.

    If it has a method `begin_step(key, images, part)`, training calls it before each step. An objective that draws
    random numbers draws them from `key`, the same on every rank and in a run that was resumed, for all `images` of
    the step, and takes the rows `part` for its own: then several ranks train as one process does.

    If it has a method `begin_training(place)`, training calls it at its beginning. Another network that the objective
    asks goes through `place(network)`: that puts it on the device and gives a function that calls it without gradients,
    as training calls its own (precision, compilation).

    If it has a method `add_gradients(step)`, training calls it after each backward pass, with the step of the whole
    training, 0-based; gradients are those over all ranks by then, and are clipped afterwards.
    """

    def loss(self, module: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]: ...


def start_step(objective: Objective, key: int, images: int, part: slice) -> None:
    """Tell the objective which step comes, if it wants to know."""
    begin_step = getattr(objective, "begin_step", None)
    if begin_step is not None:
        begin_step(key, images, part)


def start_training(objective: Objective, place: Place) -> None:
    """Tell the objective how its other networks run, if it has any."""
    begin_training = getattr(objective, "begin_training", None)
    if begin_training is not None:
        begin_training(place)


def end_backward(objective: Objective, step: int) -> None:
    """Let the objective add to gradients, if it wants to."""
    add_gradients = getattr(objective, "add_gradients", None)
    if add_gradients is not None:
        add_gradients(step)


class Classification:
    """Cross-entropy of the module's scores [B, classes]; `label_smoothing` of the target goes to all classes.

    Raises:
        TrainingError: scores and labels that do not fit, at the first call; on CUDA torch would end the process.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self._label_smoothing = label_smoothing
        self._checked = False

    def loss(self, module: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        scores = module(images)
        if not self._checked:
            check_first(scores, labels)
            self._checked = True
        return F.cross_entropy(scores, labels, label_smoothing=self._label_smoothing), scores
