"""The learning rate as a pure function of where training is."""

import math

from secateurs.training._options import TrainOptions

__all__ = ["learning_rate"]


def learning_rate(options: TrainOptions, epoch: int, step: int, steps_per_epoch: int) -> float:
    """The rate of `step` (0-based) of `epoch` (0-based), `steps_per_epoch` steps to an epoch.

    With s = epoch * steps_per_epoch + step, S = all steps and W = the warm-up's steps:

    - warm-up, s < W: lr (s + 1) / W, so no step is wasted on a rate of zero;
    - cosine, s >= W: lr (1 + cos(pi (s - W) / (S - W))) / 2 (Loshchilov and Hutter, 2017, without restarts);
    - step: lr gamma^(milestones passed), counted from epoch 0, also during the warm-up;
    - list: the last rate of `rates` whose epoch has begun, times the warm-up's factor (s + 1) / W;
    - constant: lr.

    A training that is a part of a longer schedule begins at its `first_epoch`, with `schedule_epochs` in all.
    """
    epoch += options.first_epoch
    now = epoch * steps_per_epoch + step
    warmup = options.warmup_epochs * steps_per_epoch
    ramp = min((now + 1) / warmup, 1.0) if warmup else 1.0
    if options.schedule == "cosine":
        # A loader that gives more batches than its length says must not raise the rate again.
        epochs = options.schedule_epochs or options.first_epoch + options.epochs
        remaining = max(epochs * steps_per_epoch - warmup, 1)
        after = min(max(now - warmup, 0) / remaining, 1.0)
        return options.lr * ramp * (1 + math.cos(math.pi * after)) / 2
    if options.schedule == "step":
        return options.lr * ramp * options.gamma ** sum(epoch >= milestone for milestone in options.milestones)
    if options.schedule == "list":
        return ramp * _listed(options, epoch)
    return options.lr * ramp


def _listed(options: TrainOptions, epoch: int) -> float:
    rate = 0.0
    for first, listed in options.rates:
        if first <= epoch:
            rate = rate * options.gamma if listed == -1 else listed
    return rate
