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
        optimizer: "sgd" (with `momentum`, `nesterov`) or "adamw" (torch's betas and epsilon).
        lr: highest learning rate, reached when the warm-up ends.
        weight_decay: decays *every* trained parameter, biases and normalisation weights too, as in the
            papers whose recipes are reproduced here; for "sgd" it is an L2 term in the gradient, for "adamw"
            it is decoupled (Loshchilov and Hutter, 2019).
        schedule: "cosine" to zero over all epochs, "step" (times `gamma` at each of `milestones`), "constant".
        milestones: epochs (0-based) from whose first step on the rate is multiplied by `gamma`.
        warmup_epochs: epochs over which the rate grows linearly from its first step; a shorter training ends
            while it grows.
        label_smoothing: share of the target spread evenly over all classes, 0 to 1.
        precision: "32", or "bf16": autocast, with weights and optimizer state left in float32.
        channels_last: run four-dimensional weights and inputs in NHWC order; undone when training ends.
        compile: run the model through `torch.compile`; the object that is trained stays the plain module.
        seed: keys every random number that training draws (dropout and the like), per epoch.
        device: "auto" (CUDA where there is one, else the CPU) or a torch device such as "cuda:1".

    Raises:
        ConfigError: a value out of range.
    """

    epochs: int = 10
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 5e-4
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    warmup_epochs: int = 0
    label_smoothing: float = 0.0
    precision: Literal["32", "bf16"] = "32"
    channels_last: bool = False
    compile: bool = False
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        self._check_ranges()
        self._check_choices()

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

    def _check_choices(self) -> None:
        # Options also come from files, where a type checker does not look.
        _choose("optimizer", self.optimizer, ("sgd", "adamw"))
        _choose("schedule", self.schedule, ("cosine", "step", "constant"))
        _choose("precision", self.precision, ("32", "bf16"))
        if self.nesterov:
            _require(self.momentum > 0, "nesterov", "momentum above 0 with nesterov", self.momentum)
        if self.schedule == "step":
            _require(bool(self.milestones), "milestones", "at least one epoch with schedule 'step'", self.milestones)


def _require(good: bool, name: str, wanted: str, got: object) -> None:
    if not good:
        raise ConfigError(f"train.{name}", wanted=wanted, got=repr(got), cure=f"Correct {name}.")


def _choose(name: str, got: str, choices: tuple[str, ...]) -> None:
    _require(got in choices, name, "one of " + ", ".join(map(repr, choices)), got)
