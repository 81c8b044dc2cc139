"""Training on disk: written whole or not at all, read without pickle, refused where it does not belong."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from secateurs import _distributed
from secateurs._errors import FileError, TrainingError
from secateurs._files import load_tensors, save_tensors
from secateurs._json import parse_json
from secateurs.training._checkpoint_check import check_generators, check_history, check_state
from secateurs.training._meter import Meter
from secateurs.training._options import TrainOptions
from secateurs.training._random import generator_states
from secateurs.training._records import EpochRecord
from secateurs.training._spread import fill, spread_like, whole

__all__ = ["Held", "Identity", "Partial", "Subject", "identify", "load_checkpoint", "save_checkpoint"]

_FORMAT = "secateurs-training-2"
_DIGITS = 9

Identity = Mapping[str, Any]


class Held(Protocol):
    """Other values of the weights, which a checkpoint holds beside them: a running average, those of the best epoch."""

    def tensors(self) -> Mapping[str, Tensor]: ...

    def load(self, tensors: Mapping[str, Tensor]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a checkpoint is of: all that training changes, and what must be equal to go on with it.

    Attributes:
        beside: other values of the weights, by kind.
    """

    model: nn.Module
    optimizer: Optimizer
    identity: Identity
    beside: Mapping[str, Held] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Partial:
    """An epoch that was left before its end.

    Attributes:
        step: steps of it that are done; all of them where its validation is missing.
        seconds: wall time that it took so far.
        meter: what its steps measured, as plain numbers.
        generators: where the generators of random numbers were after the last of them.
    """

    step: int
    seconds: float
    meter: Mapping[str, Any]
    generators: Mapping[str, Tensor]


def identify(optimizer: Optimizer, options: TrainOptions, steps: int, stage: str = "") -> Identity:
    """What must be equal for a checkpoint to continue a run, as JSON values. The device need not be."""
    settings = {name: value for name, value in asdict(options).items() if name != "device"}
    groups = [_plain_settings(group) | {"parameters": len(group["params"])} for group in optimizer.param_groups]
    value = {
        "stage": stage,
        "options": settings,
        "steps_per_epoch": steps,
        "optimizer": {"class": type(optimizer).__name__, "groups": groups},
    }
    return dict(json.loads(json.dumps(value)))


def save_checkpoint(
    path: Path,
    subject: Subject,
    history: tuple[EpochRecord, ...],
    partial: Partial | None = None,
    *,
    previous: Path | None = None,
) -> None:
    """Write all that the next step depends on; the checkpoint that was at `path` goes to `previous`.

    Every rank calls this and rank 0 writes. Between epochs random numbers are keyed by epoch and need no place;
    within one, their states are in `partial`.
    """
    tensors = {f"model.{name}": whole(tensor) for name, tensor in _model_tensors(subject.model).items()}
    scalars: dict[str, Any] = {}
    for index, state in subject.optimizer.state_dict()["state"].items():
        for key, value in state.items():
            # Both kinds are tagged with the parameter's index and the optimizer's own key.
            name = f"optimizer.{index}.{key}"
            if isinstance(value, Tensor):
                tensors[name] = whole(value)
            else:
                scalars[name] = value
    for kind, held in subject.beside.items():
        tensors |= {f"{kind}.{name}": tensor for name, tensor in held.tensors().items()}
    if partial is not None:
        tensors |= {f"random.{name}": tensor for name, tensor in partial.generators.items()}
    metadata = {
        "format": _FORMAT,
        "identity": json.dumps(subject.identity),
        "history": json.dumps([asdict(record) for record in history]),
        "partial": json.dumps(partial and {"step": partial.step, "seconds": partial.seconds, "meter": partial.meter}),
        "scalars": json.dumps(scalars),
    }
    # What fails here fails on every rank.
    _distributed.decided(lambda: save_tensors(path, tensors, metadata, previous=previous))


def load_checkpoint(path: Path, subject: Subject) -> tuple[tuple[EpochRecord, ...], Partial | None]:
    """Put a checkpoint's values into model, optimizer and what is held beside; its history, and the epoch begun.

    Everything is checked before anything is changed.

    Raises:
        FileError: damaged, or no training checkpoint.
        TrainingError: of another model, other options, another optimizer or other batches.
    """
    tensors, metadata = load_tensors(path, hashed=True)
    content = _parse(path, metadata)
    model, optimizer = subject.model, subject.optimizer
    _compare(path, dict(_flat(content.identity)), dict(_flat(subject.identity)))
    stored = {kind: _of(tensors, kind) for kind in ("model", "random", *subject.beside)}
    _compare(path, _shapes(stored["model"], "model"), _shapes(_model_tensors(model), "model"))
    for kind, held in subject.beside.items():
        _compare(path, _shapes(stored[kind], kind), _shapes(held.tensors(), kind))
    values = {name: value for name, value in tensors.items() if name.startswith("optimizer.")} | content.scalars
    state = _optimizer_state(path, values, sum(len(group["params"]) for group in optimizer.param_groups))
    try:
        check_state(state, optimizer)
        if content.partial is not None:
            check_generators(stored["random"])
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    partial = _partial(path, content.partial, stored["random"])
    for name, tensor in _model_tensors(model).items():
        fill(tensor, stored["model"][name])
    optimizer.load_state_dict(
        {"state": _spread(state, optimizer), "param_groups": optimizer.state_dict()["param_groups"]}
    )
    for kind, held in subject.beside.items():
        held.load(stored[kind])
    return content.history, partial


@dataclass(frozen=True, kw_only=True)
class _Content:
    identity: Identity
    history: tuple[EpochRecord, ...]
    partial: Mapping[str, Any] | None
    scalars: dict[str, Any]


def _of(tensors: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    prefix = f"{kind}."
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _model_tensors(model: nn.Module) -> dict[str, Tensor]:
    # Not state_dict(): it leaves out non-persistent buffers, and hooks may rename what it holds.
    return dict(model.named_parameters()) | dict(model.named_buffers())


def _plain_settings(group: Mapping[str, Any]) -> dict[str, Any]:
    # The rate belongs to the schedule; initial_lr is left behind by torch's own schedulers; the others say how a
    # device computes, not what.
    skipped = ("params", "lr", "initial_lr", "foreach", "fused", "capturable")
    plain = (bool, int, float, str, tuple, list, type(None))
    return {name: value for name, value in group.items() if name not in skipped and isinstance(value, plain)}


def _parse(path: Path, metadata: Mapping[str, str]) -> _Content:
    if not isinstance(metadata, dict) or metadata.get("format") != _FORMAT:
        raise _damaged(path, "a file without its marks")
    try:
        names = ("identity", "history", "partial", "scalars")
        plain = {name: parse_json(metadata[name], finite=False) for name in names}
        history = tuple(_record(record) for record in plain["history"])
        check_history(history)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"metadata that cannot be read: {error}") from error
    mappings = (plain["identity"], plain["scalars"], plain["partial"] or {})
    if not all(isinstance(value, dict) for value in mappings):
        raise _damaged(path, "metadata of the wrong form")
    return _Content(**{**plain, "history": history})


def _partial(path: Path, plain: Mapping[str, Any] | None, generators: Mapping[str, Tensor]) -> Partial | None:
    if plain is None:
        return None
    # The processor's generators are the same everywhere; their states are as large as the ones here.
    here = generator_states(torch.device("cpu"))
    sizes = {name: len(value) for name, value in generators.items() if name in here and "gauss" not in name}
    if sizes != {name: len(value) for name, value in here.items() if "gauss" not in name}:
        raise _damaged(path, "states of random numbers that do not fit")
    meter = plain.get("meter")
    numbers = {"step": plain.get("step"), "seconds": plain.get("seconds")} | (meter if isinstance(meter, dict) else {})
    if plain.keys() != {"step", "seconds", "meter"} or numbers.keys() != {"step", "seconds", *Meter().state}:
        raise _damaged(path, "metadata of an epoch that has other names")
    values = [*_curve_values(numbers.pop("curve")), *numbers.values()]
    if not all(isinstance(value, int | float) for value in values) or not isinstance(plain["step"], int):
        raise _damaged(path, "metadata of an epoch that is no numbers")
    return Partial(**plain, generators=generators)


def _record(values: Mapping[str, Any]) -> EpochRecord:
    return EpochRecord(**{**values, "step_losses": tuple({"step_losses": (), **values}["step_losses"])})


def _curve_values(curve: Any) -> list[Any]:
    """The values in a list of pairs; where it is none, something that is no number."""
    if not isinstance(curve, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in curve):
        return [None]
    return [value for pair in curve for value in pair]


def _optimizer_state(path: Path, values: Mapping[str, Any], parameters: int) -> dict[int, dict[str, Any]]:
    state: dict[int, dict[str, Any]] = {}
    for name, value in values.items():
        _, _, rest = name.partition(".")
        index, _, key = rest.partition(".")
        if not index.isdecimal() or len(index) > _DIGITS or int(index) >= parameters:
            raise _damaged(path, f"optimizer state {name!r} for {parameters} parameters")
        state.setdefault(int(index), {})[key] = value
    return state


def _spread(state: Mapping[int, Mapping[str, Any]], optimizer: Optimizer) -> dict[int, dict[str, Any]]:
    """The state as its parameters are: whole, or in parts on several ranks."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return {
        index: {
            key: spread_like(value, parameters[index]) if isinstance(value, Tensor) else value
            for key, value in values.items()
        }
        for index, values in state.items()
    }


def _shapes(tensors: Mapping[str, Tensor], kind: str) -> dict[str, str]:
    return {f"{kind}.{name}": f"{tensor.dtype} {list(tensor.shape)}" for name, tensor in tensors.items()}


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
