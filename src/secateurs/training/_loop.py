"""One epoch: the steps, what they measured, and the stop where a loss is no longer a number."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from secateurs._errors import TrainingError
from secateurs.training._batches import BatchSource, batches_from, check_first, placed, start_epoch
from secateurs.training._checkpoint import Partial
from secateurs.training._evaluate import score
from secateurs.training._keeper import Keeper
from secateurs.training._meter import Meter
from secateurs.training._options import TrainOptions
from secateurs.training._progress import Reporter
from secateurs.training._random import generator_states, restore_generators, seed_epoch
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
    keeper: Keeper

    def run_epoch(self, epoch: int, report: Reporter, begun: Partial | None = None) -> EpochRecord:
        """Train for one epoch, validate, and return what was seen.

        Args:
            begun: what an interrupted run has done of this epoch.

        Raises:
            TrainingError: a loss or a weight is not finite.
            Interrupted: a signal came; the epoch so far has been saved.
        """
        started = time.perf_counter() - (begun.seconds if begun else 0.0)
        meter = self._train_epoch(epoch, report, begun, started)
        trained = time.perf_counter()
        seen = self._validate(epoch, self._partial(meter, started))
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

    def _train_epoch(self, epoch: int, report: Reporter, begun: Partial | None, started: float) -> Meter:
        self.module.train()
        meter, first = (Meter.resumed(begun.meter), begun.step) if begun else (Meter(), 0)
        batches = placed(self._epoch_batches(epoch, begun), self.fabric.device, self.options.channels_last)
        for step, (images, labels) in enumerate(batches, first):
            self.set_rate(learning_rate(self.options, epoch, step, self.steps))
            self._step(images, labels, meter, check=step == first)
            report.step()
            if (step + 1) % _CHECK_STEPS == 0:
                self._fold(meter, epoch)
            if self.keeper.due:
                self._check(meter, epoch)
                self.keeper.keep_partial(self._partial(meter, started))
        self._check(meter, epoch)
        return meter

    def _epoch_batches(self, epoch: int, begun: Partial | None) -> Iterator[tuple[Tensor, Tensor]]:
        seed_epoch(self.options.seed, epoch)
        start_epoch(self.batches, epoch)
        left = batches_from(self.batches, begun.step if begun else 0)
        if begun is not None:
            # After the done batches: a source without keys of its own draws from these generators too.
            restore_generators(begun.generators, self.fabric.device)
        return left

    def _partial(self, meter: Meter, started: float) -> Partial:
        return Partial(
            step=meter.steps,
            seconds=time.perf_counter() - started,
            meter=meter.state,
            generators=generator_states(self.fabric.device),
        )

    def _step(self, images: Tensor, labels: Tensor, meter: Meter, *, check: bool) -> None:
        logits = self.module(images)
        if check:
            check_first(logits, labels)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.options.label_smoothing)
        self.stepper.zero_grad()
        self.fabric.backward(loss)
        self.stepper.step()
        meter.add(loss, logits, labels)

    def _validate(self, epoch: int, trained: Partial) -> Evaluation | None:
        if self.validation is None:
            return None
        self.module.eval()
        batches = self._stoppable(self.validation, trained)
        seen = score(self.module, batches, self.fabric.device, channels_last=self.options.channels_last)
        if not torch.tensor(seen.loss).isfinite():
            raise self._stop(epoch, self.steps - 1, f"a validation loss of {seen.loss} after it")
        return seen

    def _stoppable(self, batches: BatchSource, trained: Partial) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in batches:
            if self.keeper.asked:
                self.keeper.keep_partial(trained)
            yield batch

    def _check(self, meter: Meter, epoch: int) -> None:
        self._fold(meter, epoch)
        self._check_weights(epoch, meter)

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
        return TrainingError(
            f"epoch {epoch}, step {step} of {self.steps}, lr {rate:.6g}",
            wanted="a finite loss",
            got=got,
            cure="Lower lr, add warmup_epochs, or look for NaN or extreme values in the data. " + self.keeper.last_good,
        )
