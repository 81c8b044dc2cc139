"""Cut models whose own library can load them again, by settings that say how wide they are."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from secateurs._aside import made_aside
from secateurs._errors import FileError, PlanError, VerifyError
from secateurs.export._example import Call, example_call
from secateurs.export._settings import Obstacle, Settings, fitting
from secateurs.export._sizes import Key, wanted_sizes
from secateurs.graph import readable, tensors_in
from secateurs.surgery import Result, copy_model, relative_error

__all__ = ["save_pretrained"]

_TOLERANCE = 1e-5
_SHOWN = 3


@torch.inference_mode(False)  # tensors made in inference mode could never be trained again
def save_pretrained(
    model: Result | nn.Module,
    folder: str | Path,
    args: tuple[Any, ...] | Mapping[str, Any] | Tensor = (),
    kwargs: Mapping[str, Any] | None = None,
) -> Any:
    """Save a cut model so that `from_pretrained` of its own class loads it, where its config can express the widths.

    For models with a `config`, `save_pretrained` and `from_pretrained`, as those of Hugging Face. The config's
    integers are changed one at a time, on the meta device, to see which sizes follow from which; values are then solved
    for, and the result is held against the model: the class built from the new config must have the same shapes and
    give the same outputs, and so must what `from_pretrained` reads from the folder.

    A config has one number for all layers, so that layers must be cut by equal shares: `scope={pattern: ratio}`.

    Args:
        model: what `apply`, `prune` or `load` gave; it is left as it is.
        folder: where to; new or empty.
        args, kwargs: an example call, given in any of the ways of `trace`; by default one as the last plan says.

    Returns:
        The config that was written.

    Raises:
        PlanError: widths that no config of this class expresses: says which field, and which layers differ.
        VerifyError: a config with the right shapes, and other outputs.
        FileError: a folder that holds something, or cannot be written.
    """
    inner = readable(model.model if isinstance(model, Result) else model, where="save_pretrained")
    lacking = [name for name in ("config", "save_pretrained", "from_pretrained") if not hasattr(inner, name)]
    if lacking:
        cure = "Save it by secateurs.save and load it by secateurs.load with its factory."
        wanted = "a model with config, save_pretrained and from_pretrained"
        raise PlanError(type(inner).__name__, wanted=wanted, got=f"no {', '.join(lacking)}", cure=cure)
    path = Path(folder)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileError(str(path), wanted="a new or empty folder", got="one in use", cure="Choose another folder.")
    call = example_call(inner, args, kwargs, "dynamic")
    original = copy_model(inner, lambda tensor: tensor.to("cpu", copy=True)).eval()
    rebuilt = _rebuilt(original, call)
    with made_aside(path) as aside:
        again = _written(rebuilt, aside)
        error = _difference(original, again.eval(), call)
        if not error <= _TOLERANCE:
            raise _wrong(str(path), "what from_pretrained reads", error)
    return rebuilt.config


def _rebuilt(model: nn.Module, call: Call) -> Any:
    """The class made anew from settings that fit, with the weights of the cut model."""
    kind: Any = type(model)
    settings, error = Settings(kind, model.config), float("inf")
    for found in fitting(settings, wanted_sizes(model)):
        if isinstance(found, Obstacle):
            raise _refusal(type(model).__name__, found, settings.config)
        made = kind(copy.deepcopy(found))
        made.load_state_dict(model.state_dict())
        made = made.to(next((tensor.dtype for tensor in model.parameters()), torch.float32)).eval()
        error = _difference(model, made, call)
        if error <= _TOLERANCE:
            if hasattr(model, "generation_config"):  # how it writes texts, which is no part of the config
                made.generation_config = model.generation_config
            return made
    raise _wrong(type(model).__name__, "a model of equal shapes", error)


def _written(model: Any, folder: Path) -> Any:
    """What `from_pretrained` gives after `save_pretrained`."""
    try:
        model.save_pretrained(folder)
        return type(model).from_pretrained(folder)
    except Exception as error:  # classes check their configs when they write them, each by errors of its own
        cure = "Cut to widths that fit (multiple_of), or save it by secateurs.save."
        got = " ".join(f"{type(error).__name__}: {error}".split())
        raise PlanError(type(model).__name__, wanted="a config that its class accepts", got=got, cure=cure) from error


@torch.no_grad()
def _difference(model: nn.Module, other: nn.Module, call: Call) -> float:
    outputs: list[Sequence[Tensor]] = [list(tensors_in(one(*call.args, **call.kwargs))) for one in (model, other)]
    return relative_error(*outputs)


def _wrong(where: str, what: str, error: float) -> VerifyError:
    return VerifyError(
        where,
        wanted=f"outputs equal to the model's to {_TOLERANCE:g}",
        got=f"a relative difference of {error:.1e} from {what}: its config cannot say what was cut",
        cure="Save it by secateurs.save, which keeps the plan, and load it by secateurs.load with its factory.",
    )


def _refusal(name: str, obstacle: Obstacle, config: Any) -> PlanError:
    cure = (
        "Cut layers by equal shares (scope={pattern: ratio}), and only axes that the config has numbers for; "
        "or save it by secateurs.save and load it by secateurs.load with its factory."
    )
    field = obstacle.field
    if field is not None:
        ways = [f"{value} for {_places(keys)}" for value, keys in obstacle.values.items()]
        got = f"config.{field} would have to be {' and '.join(ways)}"
        wanted = f"one value of config.{field} (now {field.value(config)}) for the whole model"
        return PlanError(name, wanted=wanted, got=got, cure=cure)
    shown = [f"{_place(key)} of {new} for {old}" for key, (old, new) in list(obstacle.missing.items())[:_SHOWN]]
    more = f" and {len(obstacle.missing) - _SHOWN} more" if len(obstacle.missing) > _SHOWN else ""
    got = f"{', '.join(shown)}{more}"
    return PlanError(name, wanted="widths that follow from numbers in its config", got=got, cure=cure)


def _places(keys: Sequence[Key]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(map(_place, keys[:_SHOWN])) + more


def _place(key: Key) -> str:
    name, which = key
    return f"{name} dim {which}" if isinstance(which, int) else f"{name}.{which}"
