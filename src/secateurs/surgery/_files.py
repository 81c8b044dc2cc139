"""Cut models on disk: weights in safetensors, the plans in its metadata; no code is ever executed."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from secateurs._dtypes import kind_of
from secateurs._errors import FileError, SecateursError
from secateurs._files import load_tensors, save_tensors
from secateurs._json import parse_json
from secateurs.graph import Plan, unwrapped
from secateurs.surgery._apply import HISTORY, Result
from secateurs.surgery._changes import CHANGE, Change, history, read_change
from secateurs.surgery._cut import check_fits, check_values, cut_model

__all__ = ["load", "save"]


def save(result: Result | nn.Module, path: str | Path) -> None:
    """Write weights and plans; equal models give equal bytes.

    Args:
        result: what `apply` or `prune` returned, or a model: one that was cut (and trained since) carries its plans
            along, one that never was has none.
        path: the safetensors file.

    Raises:
        FileError: weights without values, or a file that cannot be written.
    """
    model = unwrapped(result.model if isinstance(result, Result) else result)
    first: dict[int, str] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if isinstance(tensor, Tensor):
            first.setdefault(id(tensor), name)
    state = model.state_dict()
    unique = {name: state[name] for name in first.values()}
    for name, tensor in unique.items():
        if tensor.is_meta:
            cure = "Load the weights first; a plan alone is saved by Plan.save."
            raise FileError(name, wanted="values to save", got="a tensor on the meta device", cure=cure)
    plans = [_entry_json(entry) for entry in history(model)]
    save_tensors(Path(path), unique, {"plans": json.dumps(plans)})


@torch.inference_mode(False)  # tensors made in inference mode could never be trained again
def load(path: str | Path, factory: Callable[[], nn.Module]) -> nn.Module:
    """The saved model: the original class, cut by the saved plans, with the saved weights.

    Args:
        path: a file that `save` wrote.
        factory: makes the dense model (its weights do not matter, and may be on the meta device, which takes no
            memory); called without arguments.

    Raises:
        FileError: not such a file, or weights that do not fit.
        PlanError: the factory makes another model than the plans, and other changes, were made for.
    """
    tensors, metadata = load_tensors(Path(path))
    try:
        content = parse_json(metadata.get("plans", "[]"))
        if not isinstance(content, list):
            raise ValueError(f"plans of type {type(content).__name__}")
        plans = [_entry(entry, str(path)) for entry in content]
    except ValueError as error:
        cure = "Write it again with secateurs.save."
        raise FileError(str(path), wanted="plans as JSON", got=str(error), cure=cure) from error
    model = factory()
    if not isinstance(model, nn.Module):
        cure = "Pass a function without arguments that makes the dense model."
        raise FileError(str(path), wanted="a torch.nn.Module from the factory", got=type(model).__name__, cure=cure)
    for entry in plans:
        if isinstance(entry, Plan):
            check_fits(model, entry)
            check_values(model, entry, skip=tensors)
            cut_model(model, entry)
        else:
            entry.carry_out(model)
        vars(model)[HISTORY] = (*history(model), entry)
    _make_room(model)
    _load_weights(model, tensors, str(path))
    return model


def _entry_json(entry: Plan | Change) -> dict[str, Any]:
    return entry.to_json() if isinstance(entry, Plan) else {CHANGE: entry.name, **entry.to_json()}


def _entry(content: Any, where: str) -> Plan | Change:
    if isinstance(content, dict) and CHANGE in content:
        return read_change(content)
    return Plan.from_json(content, where=where)


def _make_room(model: nn.Module) -> None:
    """Put memory in the place of tensors on the meta device; tied ones stay tied."""
    state = {id(tensor) for tensor in model.state_dict(keep_vars=True).values()}
    made: dict[int, Tensor] = {}
    for path, module in model.named_modules():
        for registry in (module._parameters, module._buffers):
            for name, tensor in registry.items():
                if tensor is None or not tensor.is_meta:
                    continue
                if id(tensor) not in state:
                    cure = "Make it on the CPU: only saved tensors can be on the meta device."
                    got = "a buffer on the meta device that is not saved"
                    raise FileError(f"{path}.{name}".lstrip("."), wanted="values", got=got, cure=cure)
                empty = torch.empty_like(tensor, device="cpu")
                room = nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty
                registry[name] = made.setdefault(id(tensor), room)


def _load_weights(model: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    own = model.state_dict(keep_vars=True)
    first = {id(tensor): name for name, tensor in reversed(own.items())}
    complete = {name: tensors.get(name, tensors.get(first[id(tensor)])) for name, tensor in own.items()}
    missing = [name for name, tensor in complete.items() if tensor is None]
    extra = [name for name in tensors if name not in own]
    if missing or extra:
        got = f"missing {missing[:3]}, unexpected {extra[:3]}"
        raise FileError(where, wanted="the model's weights", got=got, cure="Load it with the factory it was made from.")
    pairs = [(name, tensor, complete[name]) for name, tensor in own.items() if isinstance(tensor, Tensor)]
    for name, tensor, saved in pairs:
        if saved is not None and kind_of(tensor.dtype) != kind_of(saved.dtype):
            wanted, cure = f"{kind_of(tensor.dtype)} numbers in {name}", "Load it with the factory it was made from."
            raise FileError(where, wanted=wanted, got=str(saved.dtype), cure=cure)
    for _, tensor, saved in pairs:
        if saved is not None and tensor.dtype != saved.dtype:
            tensor.data = tensor.data.to(saved.dtype)
    try:
        model.load_state_dict(complete)
    except (RuntimeError, SecateursError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise FileError(where, wanted="weights of fitting shapes", got=reason, cure="Check the factory.") from error
