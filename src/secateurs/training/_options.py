"""What a training run is made of, as one frozen value."""

from dataclasses import dataclass
from typing import Literal

from secateurs._errors import ConfigError

__all__ = ["TrainOptions"]


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Everything that decides a training run besides the model and the data.

    Attributes:
        epochs: passes over the batches.
        optimizer: "sgd" (with `momentum`, `nesterov`), "adam", "adamw" (torch's betas and epsilon) or "rmsprop"
            (torch's smoothing, with `momentum`); each in its fastest form for the device.
        lr: highest learning rate, reached when the warm-up ends.
        weight_decay: decays *every* trained parameter, biases and normalisation weights too, as in the
            papers whose recipes are reproduced here; an L2 term in the gradient, but for "adamw", where it is
            decoupled (Loshchilov and Hutter, 2019).
        schedule: "cosine" to zero over all epochs, "step" (times `gamma` at each of `milestones`), "list" (see
            `rates`), "constant".
        milestones: epochs (0-based) from whose first step on the rate is multiplied by `gamma`.
        rates: pairs (epoch, rate) for schedule "list", the first at epoch 0: from the epoch's first step on the
            rate is that, or `gamma` times the one before where it is -1. `lr` then has no say.
        first_epoch: epochs of the schedule that earlier trainings have gone through; milestones, rates and warm-up
            count from the beginning of the schedule.
        schedule_epochs: epochs that the whole schedule has; None for `first_epoch` and those of this training.
        warmup_epochs: epochs over which the rate grows linearly from its first step; a shorter training ends
            while it grows.
        label_smoothing: share of the target spread evenly over all classes, 0 to 1.
        clip_norm: gradients are scaled down to this norm over all parameters where theirs is larger.
        ema: decay of an exponential moving average of the weights, such as 0.999; None for no average. After step
            t (0-based) the average moves by 1 - min(ema, (1 + t) / (10 + t)) towards the weights, so that it
            forgets the initial ones. Floating-point buffers (BatchNorm's statistics) are averaged alike.
            Validation looks at the average. The model holds the plain weights while training runs (in `on_step`,
            `on_epoch` and after an error too), and the average once it has ended.
        keep: the model ends with the weights and buffers of its "last" epoch, or of the "best": the first with the
            highest accuracy on validation images (lowest loss where there is no accuracy), test images having no
            say. They are held beside the model, once more its memory; the optimizer stays that of the last epoch.
        patience: training ends once validation accuracy (where the objective gives no scores, validation loss)
            has not been better than its best for so many epochs; the model then holds the last epoch's weights,
            not the best one's. Needs validation.
        gap_patience: training ends once the generalisation gap, validation loss less training loss, has been larger
            than after `gap_epoch` in so many epochs one after another. Needs validation.
        gap_epoch: epoch (0-based) of this training that the gap is compared with.
        nonfinite: what is done about a loss or gradient that is not finite: "stop", or "skip": the step leaves
            weights, buffers, momentum and average as they were, and the epoch's record counts it.
        skip_limit: so many skipped steps in a row within an epoch end the training after all.
        record_steps: an epoch's record also has the loss as means over so many steps each, 1 for every step; None
            for its mean alone.
        precision: "32"; "bf16": autocast, with weights and optimizer state left in float32; "auto": bf16 where
            the device computes it natively (see `resolve_precision`), else 32.
        channels_last: run four-dimensional weights and inputs in NHWC order; undone when training ends.
        compile: run the model through `torch.compile`; the object that is trained stays the plain module.
        cuda_graphs: compile, and replay each pass as one CUDA graph; pays where a step is so short that
            launching its kernels takes longer than they do. CUDA only.
        strategy: how several ranks share a model: "ddp", each holds all of it; "fsdp" (FSDP2), each holds a part of
            every parameter, gradient and momentum, for models that are too large for one device.
        seed: keys every random number that training draws (dropout and the like), per epoch.
        device: "auto" (CUDA where there is one, else the CPU) or a torch device such as "cuda:1".

    Raises:
        ConfigError: a value out of range.
    """

    epochs: int = 10
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 5e-4
    schedule: Literal["cosine", "step", "list", "constant"] = "cosine"
    milestones: tuple[int, ...] = ()
    rates: tuple[tuple[int, float], ...] = ()
    gamma: float = 0.1
    first_epoch: int = 0
    schedule_epochs: int | None = None
    warmup_epochs: int = 0
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    ema: float | None = None
    keep: Literal["last", "best"] = "last"
    patience: int | None = None
    gap_patience: int | None = None
    gap_epoch: int = 2
    nonfinite: Literal["stop", "skip"] = "stop"
    skip_limit: int = 20
    record_steps: int | None = None
    precision: Literal["auto", "32", "bf16"] = "auto"
    channels_last: bool = False
    compile: bool = False
    cuda_graphs: bool = False
    strategy: Literal["ddp", "fsdp"] = "ddp"
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        self._check_ranges()
        self._check_extras()
        self._check_choices()
        self._check_schedule()

    def _check_ranges(self) -> None:
        positive, share = "a number above 0", "a number from 0 up to, not including, 1"
        _require(self.epochs >= 1, "epochs", "at least 1", self.epochs)
        _require(0 < self.lr < float("inf"), "lr", positive, self.lr)
        _require(0 < self.gamma < float("inf"), "gamma", positive, self.gamma)
        _require(0 <= self.momentum < 1, "momentum", share, self.momentum)
        _require(0 <= self.label_smoothing < 1, "label_smoothing", share, self.label_smoothing)
        _require(0 <= self.weight_decay < float("inf"), "weight_decay", "a number of at least 0", self.weight_decay)
        _require(self.warmup_epochs >= 0, "warmup_epochs", "at least 0", self.warmup_epochs)
        rising = list(self.milestones) == sorted(set(self.milestones))
        _require(rising and min(self.milestones, default=1) >= 1, "milestones", "rising epochs from 1", self.milestones)

    def _check_extras(self) -> None:
        between = "a number between 0 and 1"
        clip_good = self.clip_norm is None or 0 < self.clip_norm < float("inf")
        _require(clip_good, "clip_norm", "a number above 0", self.clip_norm)
        _require(self.ema is None or 0 < self.ema < 1, "ema", between, self.ema)
        _require(self.patience is None or self.patience >= 1, "patience", "at least 1 epoch", self.patience)
        grown = self.gap_patience is None or self.gap_patience >= 1
        _require(grown, "gap_patience", "at least 1 epoch", self.gap_patience)
        _require(self.gap_epoch >= 0, "gap_epoch", "an epoch from 0", self.gap_epoch)
        _require(self.skip_limit >= 1, "skip_limit", "at least 1 step", self.skip_limit)
        good = self.record_steps is None or self.record_steps >= 1
        _require(good, "record_steps", "at least 1 step", self.record_steps)

    def _check_choices(self) -> None:
        # Options also come from files, where a type checker does not look.
        _choose("optimizer", self.optimizer, ("sgd", "adam", "adamw", "rmsprop"))
        _choose("schedule", self.schedule, ("cosine", "step", "list", "constant"))
        _choose("strategy", self.strategy, ("ddp", "fsdp"))
        _choose("keep", self.keep, ("last", "best"))
        _choose("nonfinite", self.nonfinite, ("stop", "skip"))
        _choose("precision", self.precision, ("auto", "32", "bf16"))
        if self.nesterov:
            _require(self.momentum > 0, "nesterov", "momentum above 0 with nesterov", self.momentum)

    def _check_schedule(self) -> None:
        end = self.first_epoch + self.epochs
        _require(self.first_epoch >= 0, "first_epoch", "at least 0", self.first_epoch)
        long = self.schedule_epochs is None or self.schedule_epochs >= end
        _require(long, "schedule_epochs", f"at least {end}, where this training ends", self.schedule_epochs)
        if self.schedule == "step":
            _require(bool(self.milestones), "milestones", "at least one epoch with schedule 'step'", self.milestones)
        if self.schedule != "list":
            _require(not self.rates, "rates", "none, or schedule 'list'", self.rates)
            return
        epochs = [epoch for epoch, _ in self.rates]
        rising = epochs == sorted(set(epochs)) and epochs[:1] == [0]
        _require(rising, "rates", "(epoch, rate) pairs with rising epochs, the first 0", self.rates)
        first, *later = (rate for _, rate in self.rates)
        good = 0 < first < float("inf") and all(rate == -1 or 0 < rate < float("inf") for rate in later)
        _require(good, "rates", "rates above 0, or -1 for gamma times the one before", self.rates)


def _require(good: bool, name: str, wanted: str, got: object) -> None:
    if not good:
        raise ConfigError(f"train.{name}", wanted=wanted, got=repr(got), cure=f"Correct {name}.")


def _choose(name: str, got: str, choices: tuple[str, ...]) -> None:
    _require(got in choices, name, "one of " + ", ".join(map(repr, choices)), got)
