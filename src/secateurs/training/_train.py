"""Training: a plain loop on Lightning Fabric that can be interrupted and loses nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.optim import Optimizer

from secateurs import _distributed
from secateurs._errors import ConfigError
from secateurs._signals import Watch, deferred
from secateurs.training._batches import BatchSource, count_steps
from secateurs.training._best import Best
from secateurs.training._checkpoint import Partial, Subject, identify
from secateurs.training._compile import compiled
from secateurs.training._device import make_fabric, resolve_device
from secateurs.training._ema import Average
from secateurs.training._flags import preserved_flags
from secateurs.training._keeper import CheckpointOptions, Keeper
from secateurs.training._loop import Loop
from secateurs.training._objective import Classification, Objective, start_training
from secateurs.training._optimizer import check_optimizer, make_optimizer, move_state
from secateurs.training._options import TrainOptions
from secateurs.training._other import other_network
from secateurs.training._patience import best_epoch, ended_early
from secateurs.training._precision import precision_for
from secateurs.training._progress import Progress, reporting
from secateurs.training._random import preserved_generators
from secateurs.training._records import EpochRecord, TrainResult
from secateurs.training._replicas import agree_on_buffers, replicated
from secateurs.training._schedule import learning_rate
from secateurs.training._sharded import check_sharded, sharded
from secateurs.training._shares import Shares, check_steps
from secateurs.training._update import Update

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["train"]


def train(
    model: nn.Module,
    batches: BatchSource,
    options: TrainOptions,
    *,
    validation: BatchSource | None = None,
    checkpoint: Path | CheckpointOptions | None = None,
    optimizer: Optimizer | None = None,
    objective: Objective | None = None,
    on_step: Callable[[int, int, int], None] | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    progress: bool | Progress = False,
) -> TrainResult:
    """Train `model` in place; it stays on the device it was trained on.

    Args:
        model: gives scores [B, classes], or what `objective` wants; its `training` flags are as before afterwards.
        batches: any sized iterable of (images, labels int64 [B]); `set_epoch(epoch)` is called if it exists.
        validation: looked at after every epoch.
        checkpoint: a file (or how often it is written) that holds all that training depends on. If it exists,
            training goes on from it; on CPU the result is bit-identical to that of an uninterrupted run. With
            one, SIGINT and SIGTERM let the step be finished and saved before they stop training.
        optimizer: one that already has a history (cut along with the model, say) and goes on with it. The
            schedule sets its learning rate; momentum, weight decay and the rest stay its own.
        objective: what is minimised; None for cross-entropy with the options' label smoothing.
        on_step: called with (epoch, step, step of the whole training), 0-based, after each step of the optimizer; not
            for steps restored from a checkpoint. Reading a value from the device there makes the device wait.
        on_epoch: called with each new record once its checkpoint is written; not for epochs restored from one.
        progress: a live display with the time left, or one line per epoch where standard error is no terminal;
            or the display that this training is a part of.

    Raises:
        ConfigError: no such device, an option that it cannot do, or Lightning Fabric is missing.
        TrainingError: a loss that is not finite, batches or an optimizer that do not fit, a foreign checkpoint.
        FileError: a checkpoint that cannot be written; or one that is damaged, and the one before it too.
        Interrupted: a signal came; all steps so far are in the checkpoint.
    """
    kept = CheckpointOptions(path=checkpoint) if isinstance(checkpoint, Path) else checkpoint
    _check(options, validation)
    steps, device = count_steps(batches), resolve_device(options.device)
    precision = precision_for(model, options.precision, device)
    fabric = make_fabric(device, precision, options.strategy)
    check_steps(steps)
    with (
        preserved_generators(device),
        preserved_flags(model),
        replicated(model, device),
        _prepared(model, optimizer, options, device) as ready,
        _placed(model, ready, options, fabric) as (inner, own),
    ):
        # Fabric takes torch.compile off, wraps the module and compiles the whole again.
        module, stepper = fabric.setup(compiled(inner, options, device), own)
        average = Average(inner, options.ema) if options.ema is not None else None
        best = Best(inner, average) if options.keep == "best" else None
        beside = {kind: held for kind, held in (("average", average), ("best", best)) if held is not None}
        identity = identify(own, options, steps, kept.stage if kept else "")
        objective = objective or Classification(options.label_smoothing)
        start_training(objective, partial(other_network, options=options, fabric=fabric))
        with deferred() if kept else nullcontext(Watch()) as watch:
            loop = Loop(
                fabric=fabric,
                module=module,
                optimizer=own,
                update=Update(inner, own, stepper, options, average),
                average=average,
                objective=objective,
                precision=precision,
                options=options,
                batches=batches,
                validation=validation,
                steps=steps,
                shares=Shares(batches),
                agree=partial(agree_on_buffers, inner, average.tensors() if average is not None else {}),
                keeper=Keeper(kept, Subject(model=inner, optimizer=own, identity=identity, beside=beside), watch),
                on_step=on_step,
            )
            history = _run(loop, best, on_epoch, progress)
        if average is not None:
            average.give()
        if best is not None:
            best.give()
    last = len(history) - 1
    return TrainResult(history=history, optimizer=ready, kept_epoch=last if best is None else best_epoch(history))


def _run(
    loop: Loop, best: Best | None, on_epoch: Callable[[EpochRecord], None] | None, progress: bool | Progress
) -> tuple[EpochRecord, ...]:
    epochs, keeper = loop.options.epochs, loop.keeper
    history, begun = _resume(loop)
    shown, at = progress if _distributed.is_first() else False, begun.step if begun is not None else 0
    with reporting(shown, epochs=epochs, steps=loop.steps, done=len(history), at=at) as report:
        while not _ended(history, loop.options):
            record = loop.run_epoch(len(history), report, begun)
            history, begun = (*history, record), None
            if best is not None:
                best.see(history)
            keeper.keep_epoch(history, last=_ended(history, loop.options))
            report.epoch(record)
            if on_epoch is not None:
                on_epoch(record)
            keeper.stop_if_asked()
    return history


def _ended(history: tuple[EpochRecord, ...], options: TrainOptions) -> bool:
    return len(history) == options.epochs or ended_early(history, options)


def _resume(loop: Loop) -> tuple[tuple[EpochRecord, ...], Partial | None]:
    history, begun = loop.keeper.load()
    move_state(loop.optimizer)
    if begun is not None and begun.step:
        loop.set_rate(learning_rate(loop.options, len(history), begun.step - 1, loop.steps))
    elif history:
        loop.set_rate(history[-1].lr)
    return history, begun


@contextmanager
def _placed(
    model: nn.Module, optimizer: Optimizer, options: TrainOptions, fabric: "Fabric"
) -> Iterator[tuple[nn.Module, Optimizer]]:
    """The module and the optimizer that steps are made on: these, or parts of them on each rank."""
    if options.strategy == "ddp":
        yield model, optimizer
        return
    with sharded(model, optimizer, fabric) as parts:
        yield parts


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


def _reorder(model: nn.Module, memory_format: torch.memory_format) -> None:
    # Not Module.to(memory_format=...): that fails on the five-dimensional weights of a mixed model.
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.dim() == 4:
            tensor.data = tensor.data.contiguous(memory_format=memory_format)


def _check(options: TrainOptions, validation: BatchSource | None) -> None:
    if options.strategy == "fsdp":
        check_sharded(options)
    if options.cuda_graphs and _distributed.world() > 1:
        raise ConfigError(
            "train.cuda_graphs",
            wanted="one process, since a graph cannot hold an exchange of gradients",
            got=f"{_distributed.world()} ranks",
            cure="Leave cuda_graphs out, or devices.",
        )
    looked_at = {"keep": options.keep == "best"}
    looked_at |= {name: getattr(options, name) is not None for name in ("patience", "gap_patience")}
    for name, looks in looked_at.items():
        if looks and validation is None:
            raise ConfigError(
                f"train.{name}",
                wanted=f"validation images, which {name} looks at",
                got="none",
                cure=f"Set aside a part of the data for validation, or leave {name} out.",
            )
