"""What must hold of a checkpoint's content, whose hash may fit all the same, before anything goes on from it."""

import inspect
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from secateurs.training._records import EpochRecord

__all__ = ["check_generators", "check_history", "check_state"]

_NUMBERS = ("lr", "train_loss", "seconds", "images_per_second")
_MAYBE = ("train_accuracy", "validation_loss", "validation_accuracy")
# How a device computes, not what; they would ask for a device that the sample is not on.
_DEVICE = frozenset({"foreach", "fused", "capturable", "differentiable"})
_SHAPE = (2, 3)
_GENERATORS = ("torch", "python", "python_gauss", "numpy", "numpy_gauss")


def check_history(history: Sequence[EpochRecord]) -> None:
    """Refuse records that no training wrote.

    Raises:
        ValueError: with the record's number.
    """
    for number, record in enumerate(history):
        whole = (record.epoch, record.epochs, record.skipped)
        numbers = [getattr(record, name) for name in _NUMBERS]
        numbers += [value for value in record.step_losses if value is not None]
        numbers += record.figures.values()
        numbers += [value for name in _MAYBE if (value := getattr(record, name)) is not None]
        right = all(type(value) is int for value in whole) and all(type(value) in (int, float) for value in numbers)
        if not right or record.epoch != number or not isinstance(record.precision, str):
            raise ValueError(f"record {number} of no training")


def check_generators(states: Mapping[str, Tensor]) -> None:
    """Refuse states of random numbers that no generator takes; tried on generators that nobody uses.

    Raises:
        ValueError: with what is wrong.
    """
    for prefix in {name.rpartition(".")[0] for name in states} | {""}:
        dot = f"{prefix}." if prefix else ""
        own = {name: states[f"{dot}{name}"] for name in _GENERATORS if f"{dot}{name}" in states}
        try:
            _try_generators(own)
        except (LookupError, TypeError, RuntimeError, OverflowError) as error:
            raise ValueError(f"states of random numbers that do not fit: {error}") from error


def _try_generators(own: Mapping[str, Tensor]) -> None:
    torch.Generator().set_state(own["torch"])
    gauss = own["python_gauss"].tolist()
    random.Random().setstate((3, tuple(own["python"].tolist()), gauss[0] if gauss else None))
    *words, position, has_gauss = own["numpy"].tolist()
    # NumPy does not look, and would read behind its words.
    if not 0 <= position <= len(words) or has_gauss not in (0, 1):
        raise ValueError(f"position {position} of random numbers")
    keys = np.array(words, dtype=np.uint32)
    np.random.RandomState().set_state(("MT19937", keys, position, has_gauss, own["numpy_gauss"].item()))


def check_state(state: Mapping[int, Mapping[str, Any]], optimizer: Optimizer) -> None:
    """Refuse state that the optimizer would trip over in its next step.

    Raises:
        ValueError: with the parameter's number and the key.
    """
    number = 0
    for group in optimizer.param_groups:
        wanted = _sample(optimizer, group)
        for parameter in group["params"]:
            if wanted is not None and number in state:
                _check_entry(f"optimizer.{number}", state[number], wanted, parameter)
            number += 1


def _check_entry(name: str, found: Mapping[str, Any], wanted: Mapping[str, Any], parameter: Tensor) -> None:
    if found.keys() != wanted.keys():
        raise ValueError(f"{name} with {sorted(found)}, where this optimizer has {sorted(wanted)}")
    for key, sample in wanted.items():
        value = found[key]
        if isinstance(sample, Tensor) != isinstance(value, Tensor):
            raise ValueError(f"{name}.{key} of type {type(value).__name__}")
        if isinstance(sample, Tensor):
            _check_tensor(f"{name}.{key}", value, sample, parameter)
        elif type(value) is not type(sample) or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(f"{name}.{key} is {value!r:.40}")


def _check_tensor(name: str, value: Tensor, sample: Tensor, parameter: Tensor) -> None:
    if sample.dim() and tuple(sample.shape) != _SHAPE:  # sums over rows or columns: whatever they are
        return
    shape = tuple(parameter.shape) if sample.dim() else ()
    if tuple(value.shape) != shape or value.is_floating_point() != sample.is_floating_point():
        raise ValueError(f"{name} of {value.dtype} {list(value.shape)}, wanted {list(shape)}")
    # Steps counted: their powers are divided by.
    if not sample.dim() and not 1 <= float(value) < 2**53:
        raise ValueError(f"{name} is {float(value)}")


def _sample(optimizer: Optimizer, group: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The state that such an optimizer has after a step on a parameter of shape [2, 3]; None for one that is ours not
    to make."""
    kind = type(optimizer)
    if not kind.__module__.startswith("torch.optim"):
        return None
    taken = inspect.signature(kind).parameters
    settings = {key: value for key, value in group.items() if key in taken and key not in {"params", *_DEVICE}}
    parameter = torch.nn.Parameter(torch.zeros(_SHAPE))
    parameter.grad = torch.zeros(_SHAPE)
    sample = kind([parameter], **settings)
    sample.step()
    return dict(sample.state[parameter])
