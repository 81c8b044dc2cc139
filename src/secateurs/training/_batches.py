"""What training asks of a source of batches, and the checks that turn mistakes into sentences."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from secateurs._errors import TrainingError

__all__ = ["BatchSource", "batches_from", "check_first", "count_steps", "placed", "start_epoch"]


class BatchSource(Protocol):
    """Any sized iterable of (images [B, ...], labels int64 [B]), iterated once per epoch.

    If it has a method `set_epoch(epoch)`, training calls it before each epoch. If it has `start_at(step)`, the
    next loop begins there and those after it at the first batch again; training calls it to go on within an epoch.
    """

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]: ...

    def __len__(self) -> int: ...


def count_steps(batches: BatchSource) -> int:
    """Batches of one epoch; the schedule needs the number before the first step."""
    try:
        steps = len(batches)
    except TypeError as error:
        raise TrainingError(
            "batches",
            wanted="an iterable with a length",
            got=type(batches).__name__,
            cure="Put the batches into a list, or give their source a __len__.",
        ) from error
    if steps == 0:
        raise TrainingError(
            "batches", wanted="at least one batch", got="none", cure="Check the data and the batch size."
        )
    return steps


def start_epoch(batches: BatchSource, epoch: int) -> None:
    """Tell the source which epoch comes, if it wants to know."""
    set_epoch = getattr(batches, "set_epoch", None)
    if set_epoch is not None:
        set_epoch(epoch)


def batches_from(batches: BatchSource, step: int) -> Iterator[tuple[Tensor, Tensor]]:
    """One loop over the batches without the first `step` of them."""
    start_at = getattr(batches, "start_at", None)
    if not step or start_at is None:
        left = iter(batches)
        for _ in range(step):
            next(left, None)
        return left
    start_at(step)
    return iter(batches)


def placed(
    batches: Iterable[tuple[Tensor, Tensor]], device: torch.device, channels_last: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches on `device`, images in NHWC order if asked; no copy where they are there already."""
    for batch in batches:
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise TrainingError(
                "batches", wanted="pairs (images, labels)", got=type(batch).__name__, cure="Yield such pairs."
            )
        # A copy to the host must be waited for: its memory could be read before it has arrived.
        images, labels = (tensor.to(device, non_blocking=device.type != "cpu") for tensor in batch)
        if channels_last and images.dim() == 4:
            images = images.contiguous(memory_format=torch.channels_last)
        yield images, labels


def check_first(logits: Tensor, labels: Tensor) -> None:
    """Once per run, because it reads from the device: do scores and labels fit together?"""
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(labels):
        got = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise TrainingError(
            "model output",
            wanted=f"scores of shape [{len(labels)}, classes]",
            got=str(got),
            cure="Wrap the model so that it returns one row of class scores per image.",
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= logits.shape[1]:
        raise TrainingError(
            "labels",
            wanted=f"classes 0 to {logits.shape[1] - 1}, as many as the model has outputs",
            got=f"classes {low} to {high}",
            cure="Build the model with the data's number of classes.",
        )
