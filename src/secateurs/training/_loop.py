"""One epoch: the steps, what they measured, and the stop where a loss is no longer a number."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from secateurs._errors import TrainingError
from secateurs.training._batches import BatchSource, check_first, placed, start_epoch
from secateurs.training._evaluate import score
from secateurs.training._meter import Meter
from secateurs.training._options import TrainOptions
from secateurs.training._progress import Reporter
from secateurs.training._random import seed_epoch
from secateurs.training._records import EpochRecord, Evaluation
from secateurs.training._schedule import learning_rate

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Loop"]

# Losses are read from the device this often: rare enough to cost nothing, often enough to stop in time.
_CHECK_STEPS = 100


@dataclass(frozen=True, kw_only=True)
class Loop:
    """What every epoch needs. `module` and `stepper` are the engine's wrappers of a model and its `optimizer`."""

    fabric: "Fabric"
    module: nn.Module
    optimizer: Optimizer
    stepper: Optimizer
    options: TrainOptions
    batches: BatchSource
    validation: BatchSource | None
    steps: int
    checkpoint: Path | None

    def run_epoch(self, epoch: int, report: Reporter) -> EpochRecord:
        """Train for one epoch, validate, and return what was seen.

        Raises:
            TrainingError: a loss or a weight is not finite.
        """
        seed_epoch(self.options.seed, epoch)
        started = time.perf_counter()
        meter = self._train_epoch(epoch, report)
        trained = time.perf_counter()
        seen = self._validate(epoch)
        return EpochRecord(
            epoch=epoch,
            epochs=self.options.epochs,
            lr=learning_rate(self.options, epoch, meter.steps - 1, self.steps),
            train_loss=meter.loss,
            train_accuracy=meter.accuracy,
            validation_loss=seen.loss if seen else None,
            validation_accuracy=seen.accuracy if seen else None,
            seconds=time.perf_counter() - started,
            images_per_second=meter.images / (trained - started),
        )

    def set_rate(self, rate: float) -> None:
        """The schedule owns the rate of every parameter group."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _train_epoch(self, epoch: int, report: Reporter) -> Meter:
        self.module.train()
        start_epoch(self.batches, epoch)
        meter = Meter()
        for step, (images, labels) in enumerate(placed(self.batches, self.fabric.device, self.options.channels_last)):
            self.set_rate(learning_rate(self.options, epoch, step, self.steps))
            self._step(images, labels, meter, check=step == 0)
            report.step()
            if (step + 1) % _CHECK_STEPS == 0:
                self._fold(meter, epoch)
        self._fold(meter, epoch)
        self._check_weights(epoch, meter)
        return meter

    def _step(self, images: Tensor, labels: Tensor, meter: Meter, *, check: bool) -> None:
        logits = self.module(images)
        if check:
            check_first(logits, labels)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.options.label_smoothing)
        self.stepper.zero_grad()
        self.fabric.backward(loss)
        self.stepper.step()
        meter.add(loss, logits, labels)

    def _validate(self, epoch: int) -> Evaluation | None:
        if self.validation is None:
            return None
        self.module.eval()
        seen = score(self.module, self.validation, self.fabric.device, channels_last=self.options.channels_last)
        if not torch.tensor(seen.loss).isfinite():
            raise self._stop(epoch, self.steps - 1, f"a validation loss of {seen.loss} after it")
        return seen

    def _fold(self, meter: Meter, epoch: int) -> None:
        first = meter.steps
        bad = meter.fold()
        if bad is not None:
            raise self._stop(epoch, bad, f"NaN or infinity (steps {first} to {meter.steps - 1} were checked)")

    def _check_weights(self, epoch: int, meter: Meter) -> None:
        # A finite loss can still send the weights to infinity, and the checkpoint would keep them.
        trained = [p.detach() for group in self.optimizer.param_groups for p in group["params"]]
        if not torch.stack([parameter.isfinite().all() for parameter in trained]).all():
            raise self._stop(epoch, meter.steps - 1, "weights that are not finite after it")

    def _stop(self, epoch: int, step: int, got: str) -> TrainingError:
        rate = learning_rate(self.options, epoch, step, self.steps)
        kept = ""
        if self.checkpoint is not None and self.checkpoint.exists():
            kept = f" The checkpoint {self.checkpoint} holds the epochs before."
        return TrainingError(
            f"epoch {epoch}, step {step} of {self.steps}, lr {rate:.6g}",
            wanted="a finite loss",
            got=got,
            cure="Lower lr, add warmup_epochs, or look for NaN or extreme values in the data." + kept,
        )
