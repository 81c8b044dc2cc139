"""Training on disk: written whole or not at all, read without pickle, refused where it does not belong."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from secateurs._errors import FileError, TrainingError
from secateurs._files import load_tensors, save_tensors
from secateurs.training._options import TrainOptions
from secateurs.training._records import EpochRecord

__all__ = ["Identity", "identify", "load_checkpoint", "save_checkpoint"]

_FORMAT = "secateurs-training-1"

Identity = Mapping[str, Any]


def identify(optimizer: Optimizer, options: TrainOptions, steps: int) -> Identity:
    """What must be equal for a checkpoint to continue a run, as JSON values. The device need not be."""
    settings = {name: value for name, value in asdict(options).items() if name != "device"}
    groups = [_plain_settings(group) | {"parameters": len(group["params"])} for group in optimizer.param_groups]
    value = {
        "options": settings,
        "steps_per_epoch": steps,
        "optimizer": {"class": type(optimizer).__name__, "groups": groups},
    }
    return dict(json.loads(json.dumps(value)))


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: Optimizer, history: tuple[EpochRecord, ...], identity: Identity
) -> None:
    """Write all that the next epoch depends on. Random numbers are keyed by epoch and need no place here."""
    tensors = {f"model.{name}": tensor for name, tensor in _model_tensors(model).items()}
    scalars: dict[str, Any] = {}
    for index, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            # Both kinds are tagged with the parameter's index and the optimizer's own key.
            (tensors if isinstance(value, Tensor) else scalars)[f"optimizer.{index}.{key}"] = value
    metadata = {
        "format": _FORMAT,
        "identity": json.dumps(identity),
        "history": json.dumps([asdict(record) for record in history]),
        "scalars": json.dumps(scalars),
    }
    save_tensors(path, tensors, metadata)


def load_checkpoint(path: Path, model: nn.Module, optimizer: Optimizer, identity: Identity) -> tuple[EpochRecord, ...]:
    """Put a checkpoint's values into model and optimizer, in place, and return its history.

    Everything is checked before anything is changed.

    Raises:
        FileError: damaged, or no training checkpoint.
        TrainingError: of another model, other options, another optimizer or other batches.
    """
    tensors, metadata = load_tensors(path)
    saved, history, scalars = _parse(path, metadata)
    _compare(path, dict(_flat(saved)), dict(_flat(identity)))
    stored = {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}
    _compare(path, _shapes(stored), _shapes(_model_tensors(model)))
    values = {name: value for name, value in tensors.items() if name.startswith("optimizer.")} | scalars
    state = _optimizer_state(path, values, sum(len(group["params"]) for group in optimizer.param_groups))
    with torch.no_grad():
        for name, tensor in _model_tensors(model).items():
            tensor.copy_(stored[name])
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return history


def _model_tensors(model: nn.Module) -> dict[str, Tensor]:
    # Not state_dict(): it leaves out non-persistent buffers, and hooks may rename what it holds.
    return dict(model.named_parameters()) | dict(model.named_buffers())


def _plain_settings(group: Mapping[str, Any]) -> dict[str, Any]:
    # The rate belongs to the schedule; initial_lr is left behind by torch's own schedulers.
    skipped = ("params", "lr", "initial_lr")
    plain = (bool, int, float, str, tuple, list, type(None))
    return {name: value for name, value in group.items() if name not in skipped and isinstance(value, plain)}


def _parse(path: Path, metadata: Mapping[str, str]) -> tuple[Identity, tuple[EpochRecord, ...], dict[str, Any]]:
    if not isinstance(metadata, dict) or metadata.get("format") != _FORMAT:
        raise _damaged(path, "a file without its marks")
    try:
        identity, scalars = json.loads(metadata["identity"]), json.loads(metadata["scalars"])
        history = tuple(EpochRecord(**record) for record in json.loads(metadata["history"]))
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"metadata that cannot be read: {error}") from error
    if not isinstance(identity, dict) or not isinstance(scalars, dict):
        raise _damaged(path, "metadata of the wrong form")
    return identity, history, scalars


def _optimizer_state(path: Path, values: Mapping[str, Any], parameters: int) -> dict[int, dict[str, Any]]:
    state: dict[int, dict[str, Any]] = {}
    for name, value in values.items():
        _, _, rest = name.partition(".")
        index, _, key = rest.partition(".")
        if not index.isdecimal() or int(index) >= parameters:
            raise _damaged(path, f"optimizer state {name!r} for {parameters} parameters")
        state.setdefault(int(index), {})[key] = value
    return state


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    return {f"model.{name}": f"{tensor.dtype} {list(tensor.shape)}" for name, tensor in tensors.items()}


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, list | Mapping):
        for key, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, repr(value)


def _compare(path: Path, saved: Mapping[str, str], current: Mapping[str, str]) -> None:
    for name in sorted(saved.keys() | current.keys()):
        if saved.get(name) != current.get(name):
            raise TrainingError(
                str(path),
                wanted=f"a checkpoint of this run, where {name} is {current.get(name, 'absent')}",
                got=f"one where it is {saved.get(name, 'absent')}",
                cure="Go on with the model, options and data it was written with, or choose another file.",
            )


def _damaged(path: Path, got: str) -> FileError:
    return FileError(
        str(path), wanted="a training checkpoint", got=got, cure="Choose another file, or delete it to start anew."
    )
