"""One epoch: the steps, what they measured, and the stop where a loss is no longer a number."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from secateurs._errors import Interrupted, TrainingError
from secateurs.training._batches import BatchSource, batches_from, placed, start_epoch
from secateurs.training._checkpoint import Partial
from secateurs.training._ema import Average
from secateurs.training._evaluate import mean_loss, score
from secateurs.training._figures import Validating
from secateurs.training._keeper import Keeper
from secateurs.training._meter import Meter
from secateurs.training._objective import Objective, end_backward, start_step
from secateurs.training._options import TrainOptions
from secateurs.training._precision import Precision
from secateurs.training._progress import Reporter
from secateurs.training._random import generator_states, restore_generators, seed_epoch, step_key
from secateurs.training._records import EpochRecord, Validation
from secateurs.training._schedule import learning_rate
from secateurs.training._shares import Shares
from secateurs.training._spread import local
from secateurs.training._update import Update

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Loop"]

# Losses are read from the device this often: rare enough to cost nothing, often enough to stop in time.
_CHECK_STEPS = 100


@dataclass(frozen=True, kw_only=True)
class Loop:
    """What every epoch needs. `module` is the engine's wrapper of the model that `optimizer` and `update` change.

    `agree` makes equal on all ranks what a step does not: BatchNorm's statistics.
    """

    fabric: "Fabric"
    module: nn.Module
    optimizer: Optimizer
    update: Update
    average: Average | None
    objective: Objective
    precision: Precision
    options: TrainOptions
    batches: BatchSource
    validation: BatchSource | None
    steps: int
    shares: Shares
    agree: Callable[[], None]
    keeper: Keeper
    on_step: Callable[[int, int, int], None] | None

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
        partial = self._partial(meter, started)
        meter = Meter.resumed(partial.meter)
        seen = self._validate(epoch, partial, scored=meter.accuracy is not None)
        return EpochRecord(
            epoch=epoch,
            epochs=self.options.epochs,
            lr=learning_rate(self.options, epoch, meter.steps - 1, self.steps),
            train_loss=meter.loss,
            train_accuracy=meter.accuracy,
            validation_loss=seen.loss if seen else None,
            validation_accuracy=seen.accuracy if seen else None,
            skipped=meter.skipped,
            step_losses=meter.curve,
            figures=seen.figures if seen else {},
            precision=self.precision,
            seconds=time.perf_counter() - started,
            images_per_second=meter.images / (trained - started),
        )

    def set_rate(self, rate: float) -> None:
        """The schedule owns the rate of every parameter group."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _train_epoch(self, epoch: int, report: Reporter, begun: Partial | None, started: float) -> Meter:
        self.module.train()
        meter, first = (
            (self.shares.resumed(begun.meter), begun.step) if begun else (Meter(self.options.record_steps or 0), 0)
        )
        batches = placed(self._epoch_batches(epoch, begun), self.fabric.device, self.options.channels_last)
        for step, (images, labels) in enumerate(batches, first):
            self.set_rate(learning_rate(self.options, epoch, step, self.steps))
            now = epoch * self.steps + step
            self._step(images, labels, meter, now)
            report.step()
            if self.on_step is not None:
                self.on_step(epoch, step, now)
            if (step + 1) % _CHECK_STEPS == 0:
                self._fold(meter, epoch, wait=False)
            if self.keeper.due:
                self._check(meter, epoch)
                self.agree()
                self.keeper.keep_partial(self._partial(meter, started))
        self._check(meter, epoch)
        self.agree()
        if meter.skipped == meter.steps:
            raise self._stop(epoch, meter.steps - 1, "none in any step of the epoch")
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
            meter=self.shares.of_all(meter).state,
            generators=generator_states(self.fabric.device),
        )

    def _step(self, images: Tensor, labels: Tensor, meter: Meter, now: int) -> None:
        self.update.begin()
        step = now % self.steps
        start_step(self.objective, step_key(self.options.seed, now), *self.shares.whole(step, len(labels)))
        loss, scores = self.objective.loss(self.module, images, labels)
        self.fabric.backward(self.shares.weighted(loss, step))
        end_backward(self.objective, now)
        good = self.update.finish(loss, now)
        meter.add(loss, scores, labels, good, images=self.shares.counted(step, len(labels)))

    def _validate(self, epoch: int, trained: Partial, *, scored: bool) -> Validation | None:
        if self.validation is None:
            return None
        self.module.eval()
        try:
            with self.average.lent() if self.average is not None else nullcontext():
                seen = self._measure(self._stoppable(self.validation), scored=scored)
        except Interrupted:
            # Out here the model has its own weights again, not the average that was lent to it.
            self.keeper.keep_partial(trained)
            raise
        if not math.isfinite(seen.loss):
            raise self._stop(epoch, self.steps - 1, f"a validation loss of {seen.loss} after it")
        return seen

    def _measure(self, batches: Iterator[tuple[Tensor, Tensor]], *, scored: bool) -> Validation:
        assert self.validation is not None
        device, channels_last, shares = self.fabric.device, self.options.channels_last, Shares(self.validation)
        if scored:
            validating = Validating(self.objective, self.module, shares)
            seen = score(validating, batches, device, shares, channels_last=channels_last)
            return Validation(loss=seen.loss, accuracy=seen.accuracy, figures=validating.figures())

        def loss(images: Tensor, labels: Tensor) -> Tensor:
            return self.objective.loss(self.module, images, labels)[0]

        return Validation(loss=mean_loss(loss, batches, device, shares, channels_last=channels_last), accuracy=None)

    def _stoppable(self, batches: BatchSource) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in batches:
            if self.keeper.asked:
                self.keeper.stop_if_asked()
            yield batch

    def _check(self, meter: Meter, epoch: int) -> None:
        self._fold(meter, epoch)
        self._check_weights(epoch, meter)

    def _fold(self, meter: Meter, epoch: int, *, wait: bool = True) -> None:
        first = meter.steps
        bad = meter.fold(wait=wait)
        if bad is not None:
            raise self._stop(epoch, bad, f"NaN or infinity (steps {first} to {meter.steps - 1} were checked)")
        if meter.skipped_in_a_row >= self.options.skip_limit:
            raise self._stop(epoch, meter.steps - 1, f"{meter.skipped_in_a_row} skipped steps in a row")

    def _check_weights(self, epoch: int, meter: Meter) -> None:
        # A finite loss can still send the weights to infinity, and the checkpoint would keep them.
        trained = [local(p.detach()) for group in self.optimizer.param_groups for p in group["params"]]
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
