"""What training and evaluation report."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

__all__ = ["EpochRecord", "Evaluation", "TrainResult", "Validation"]


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """One epoch of training. Two records are equal when they learned the same: times do not take part.

    Attributes:
        epoch: 0-based number of the epoch, of `epochs`.
        lr: learning rate of the epoch's last step.
        train_loss: mean over the epoch's images, each measured before the step that it took part in.
        train_accuracy: fraction of those images whose highest score was the right class; None where the
            objective gives no scores.
        validation_loss: mean over the validation images after the epoch; None without validation.
        validation_accuracy: the same, as a fraction; None without validation or without scores.
        skipped: steps that were taken back because a loss or gradient was not finite; their images count in no
            mean.
        step_losses: the training loss as means over `record_steps` steps each, one after another; None for one whose
            steps were all skipped. Empty where the options do not ask for it.
        figures: means over the validation images of what else the objective tells of them, by name.
        precision: "32" or "bf16", what the epoch was computed in.
        seconds: wall time of the epoch, validation included.
        images_per_second: training images over the wall time of training alone.
    """

    epoch: int
    epochs: int
    lr: float
    train_loss: float
    train_accuracy: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    skipped: int = 0
    step_losses: tuple[float | None, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    precision: str = "32"
    seconds: float = field(compare=False)
    images_per_second: float = field(compare=False)

    def __str__(self) -> str:
        text = f"epoch {self.epoch + 1}/{self.epochs}  lr {self.lr:.4g}  "
        text += _measured(self.train_loss, self.train_accuracy)
        if self.validation_loss is not None:
            text += f"  validation {_measured(self.validation_loss, self.validation_accuracy)}"
        text += "".join(f"  {name} {value:.4g}" for name, value in self.figures.items())
        if self.skipped:
            text += f"  {self.skipped} steps skipped"
        return f"{text}  {self.seconds:.1f} s  {self.images_per_second:,.0f} images/s"


def _measured(loss: float, accuracy: float | None) -> str:
    return f"loss {loss:.4f}" + ("" if accuracy is None else f"  accuracy {accuracy:.4f}")


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """A finished training run: one record per epoch, and the optimizer with its momentum, ready to go on.

    `kept_epoch` (0-based) is the epoch whose weights the model has: the last, or with `keep: best` the best.
    There are fewer records than epochs asked for where `patience` or `gap_patience` ended the training.
    """

    history: tuple[EpochRecord, ...]
    optimizer: torch.optim.Optimizer
    kept_epoch: int


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How well a model does on `images` images.

    Attributes:
        loss: mean cross-entropy over the images, without label smoothing.
        accuracy: fraction of images whose highest score is the right class.
        top5_accuracy: fraction whose right class is among the five highest; None below five classes.
        images: how many images were counted.
        accuracy_among: fraction of images whose right class has the highest score of the classes that were asked
            about; None where none were.
    """

    loss: float
    accuracy: float
    top5_accuracy: float | None
    images: int
    accuracy_among: float | None = None


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What an epoch's validation saw; `accuracy` is None where the objective gives no scores."""

    loss: float
    accuracy: float | None
    figures: Mapping[str, float] = field(default_factory=dict)
