"""Training: a plain loop on Lightning Fabric that can be interrupted and loses nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
from torch import nn
from torch.optim import Optimizer

from secateurs._errors import TrainingError
from secateurs._files import make_directory
from secateurs.training._batches import BatchSource, count_steps
from secateurs.training._checkpoint import Identity, identify, load_checkpoint, save_checkpoint
from secateurs.training._device import make_fabric, resolve_device
from secateurs.training._flags import preserved_flags
from secateurs.training._loop import Loop
from secateurs.training._optimizer import check_optimizer, make_optimizer, move_state
from secateurs.training._options import TrainOptions
from secateurs.training._progress import Progress, reporting
from secateurs.training._random import preserved_generators
from secateurs.training._records import EpochRecord, TrainResult

__all__ = ["train"]


def train(
    model: nn.Module,
    batches: BatchSource,
    options: TrainOptions,
    *,
    validation: BatchSource | None = None,
    checkpoint: Path | None = None,
    optimizer: Optimizer | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    progress: bool | Progress = False,
    every: int = 1,
) -> TrainResult:
    """Train `model` in place as a classifier with cross-entropy; it stays on the device it was trained on.

    Args:
        model: gives scores [B, classes]; its `training` flags are as before afterwards.
        batches: any sized iterable of (images, labels int64 [B]); `set_epoch(epoch)` is called if it exists.
        validation: looked at after every epoch.
        checkpoint: a file written atomically after every `every`-th epoch and the last. If it exists, training
            goes on from it; on CPU the result is bit-identical to that of an uninterrupted run.
        optimizer: one that already has a history (cut along with the model, say) and goes on with it. The
            schedule sets its learning rate; momentum, weight decay and the rest stay its own.
        on_epoch: called with each new record once its checkpoint is written; not for epochs restored from one.
        progress: a live display with the time left, or one line per epoch where standard error is no terminal;
            or the display that this training is a part of.

    Raises:
        ConfigError: no such device, or Lightning Fabric is missing.
        TrainingError: a loss that is not finite, batches or an optimizer that do not fit, a foreign checkpoint.
        FileError: a checkpoint that cannot be read or written.
    """
    _check(checkpoint, every)
    steps, device = count_steps(batches), resolve_device(options.device)
    fabric = make_fabric(device, options.precision)
    with preserved_generators(device), preserved_flags(model), _prepared(model, optimizer, options, device) as ready:
        # Fabric takes torch.compile off, wraps the module and compiles the whole again.
        outer = _compiled(model) if options.compile else model
        module, stepper = fabric.setup(outer, ready)
        loop = Loop(
            fabric=fabric,
            module=module,
            optimizer=ready,
            stepper=stepper,
            options=options,
            batches=batches,
            validation=validation,
            steps=steps,
            checkpoint=checkpoint,
        )
        history = _run(loop, model, every, on_epoch, progress)
    return TrainResult(history=history, optimizer=ready)


def _run(
    loop: Loop, model: nn.Module, every: int, on_epoch: Callable[[EpochRecord], None] | None, progress: bool | Progress
) -> tuple[EpochRecord, ...]:
    epochs, checkpoint = loop.options.epochs, loop.checkpoint
    identity = identify(loop.optimizer, loop.options, loop.steps)
    history = _resume(loop, model, identity)
    with reporting(progress, epochs=epochs, steps=loop.steps, done=len(history)) as report:
        for epoch in range(len(history), epochs):
            record = loop.run_epoch(epoch, report)
            history = (*history, record)
            if checkpoint is not None and ((epoch + 1) % every == 0 or epoch + 1 == epochs):
                save_checkpoint(checkpoint, model, loop.optimizer, history, identity)
            report.epoch(record)
            if on_epoch is not None:
                on_epoch(record)
    return history


def _resume(loop: Loop, model: nn.Module, identity: Identity) -> tuple[EpochRecord, ...]:
    if loop.checkpoint is None or not loop.checkpoint.exists():
        return ()
    history = load_checkpoint(loop.checkpoint, model, loop.optimizer, identity)
    move_state(loop.optimizer)
    if history:
        loop.set_rate(history[-1].lr)
    return history


@contextmanager
def _prepared(
    model: nn.Module, optimizer: Optimizer | None, options: TrainOptions, device: torch.device
) -> Iterator[Optimizer]:
    """Model and optimizer on the device, in the order of memory asked for; plain order again on leaving."""
    if optimizer is not None:
        check_optimizer(model, optimizer)
    # Parameters keep their identity, so an optimizer that was given still holds the right ones.
    model.to(device)
    optimizer = optimizer or make_optimizer(model, options)
    if options.channels_last:
        _reorder(model, torch.channels_last)
    move_state(optimizer)
    try:
        yield optimizer
    finally:
        optimizer.zero_grad()
        if options.channels_last:
            # Others may flatten weights with view(), which channels_last does not allow.
            _reorder(model, torch.contiguous_format)
            move_state(optimizer)


def _compiled(model: nn.Module) -> nn.Module:
    # Compiled code is kept per line of source, not per model: the ninth network of a study would run uncompiled.
    torch.compiler.reset()
    return cast(nn.Module, torch.compile(model))


def _reorder(model: nn.Module, memory_format: torch.memory_format) -> None:
    # Not Module.to(memory_format=...): that fails on the five-dimensional weights of a mixed model.
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.dim() == 4:
            tensor.data = tensor.data.contiguous(memory_format=memory_format)


def _check(checkpoint: Path | None, every: int) -> None:
    if every < 1:
        raise TrainingError("every", wanted="at least 1 epoch", got=str(every), cure="Use 1 to save each epoch.")
    if checkpoint is not None:
        make_directory(checkpoint.parent)
