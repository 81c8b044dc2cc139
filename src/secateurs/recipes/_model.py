"""The network that a recipe or a command line names."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from secateurs import models
from secateurs._dtypes import kind_of
from secateurs._errors import ConfigError
from secateurs._files import load_tensors
from secateurs.recipes._config import ModelSection
from secateurs.recipes._validate import nearest
from secateurs.surgery import load

__all__ = ["build_model", "call_factory", "import_factory", "load_weights"]


def build_model(section: ModelSection, *, classes: int, channels: int, size: int, seed: int) -> nn.Module:
    """The network with the initial weights that `seed` gives; `load_weights` brings others.

    `classes`, `channels` and image `size`, from the data, go to networks of the model table only; a user's
    factory gets the options and nothing else.
    """
    # The caller's generator is not ours to move, and the weights must not depend on its state.
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        if section.name is not None:
            model = _from_table(section.name, section.options, classes=classes, channels=channels, size=size)
        else:
            factory = str(section.factory)
            model = call_factory(import_factory(factory), factory, section.options)
    return model


def _from_table(name: str, options: Mapping[str, Any], *, classes: int, channels: int, size: int) -> nn.Module:
    entry = models.TABLE.get(name)
    # Only networks that flatten what they see need to know its size.
    sized = {"size": size} if entry is not None and "size" in entry.options else {}
    return models.build(name, **{"classes": classes, "channels": channels, **sized, **options})


def import_factory(target: str) -> Callable[..., Any]:
    """The callable behind `package.module:callable`."""
    module_name, colon, attribute = target.partition(":")
    if not (module_name and colon and attribute):
        raise ConfigError(
            f"model {target!r}",
            wanted="package.module:callable",
            got=repr(target),
            cure="Write for example my_project.nets:make_net.",
        )
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:  # importing runs the user's code, which can raise anything
        raise ConfigError(
            f"model {target!r}",
            wanted=f"a module {module_name} that can be imported",
            got=_first_line(error),
            cure="Check the name and the folder you are in; the module must be on the Python path.",
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            public = [name for name in dir(found) if not name.startswith("_")]
            raise ConfigError(
                f"model {target!r}",
                wanted=f"a callable {attribute} in {module_name}",
                got="no such name",
                cure=nearest(part, public) if public else "The module has no public names.",
            )
        found = getattr(found, part)
    if not callable(found):
        raise ConfigError(
            f"model {target!r}",
            wanted="a callable that returns a network",
            got=type(found).__name__,
            cure="Name a class or a function.",
        )
    factory: Callable[..., Any] = found
    return factory


def call_factory(factory: Callable[..., Any], target: str, options: Mapping[str, Any]) -> nn.Module:
    """The network that the user's `factory` makes."""
    try:
        model = factory(**options)
    except Exception as error:  # the user's code can raise anything
        given = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise ConfigError(
            f"model {target!r}",
            wanted=f"a network from {target}({given})",
            got=_first_line(error),
            cure="Call it yourself to see the whole traceback.",
        ) from error
    if not isinstance(model, nn.Module):
        raise ConfigError(
            f"model {target!r}",
            wanted="a torch.nn.Module",
            got=type(model).__name__,
            cure="Return the network from the factory.",
        )
    return model


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill `model` from a safetensors file: the model's own weights, or a cut model that `secateurs.save` wrote."""
    tensors, metadata = load_tensors(path)
    if metadata.get("plans", "[]") != "[]":
        load(path, lambda: model)
        return
    wanted = dict(model.state_dict())
    # Counters that some exporters leave out mean nothing for inference.
    missing = sorted(name for name in wanted.keys() - tensors.keys() if not name.endswith("num_batches_tracked"))
    strange = sorted(tensors.keys() - wanted.keys())
    shapes = [
        f"{name} {list(tensors[name].shape)} for {list(wanted[name].shape)}"
        for name in sorted(wanted.keys() & tensors.keys())
        if tensors[name].shape != wanted[name].shape
    ]
    kinds = [
        f"{name} {tensors[name].dtype} for {wanted[name].dtype}"
        for name in sorted(wanted.keys() & tensors.keys())
        if kind_of(tensors[name].dtype) != kind_of(wanted[name].dtype)
    ]
    problems = [
        f"{len(names)} {what} ({names[0]}{', ...' if len(names) > 1 else ''})"
        for what, names in (
            ("missing", missing),
            ("unknown", strange),
            ("of another shape", shapes),
            ("of another kind", kinds),
        )
        if names
    ]
    if problems:
        raise ConfigError(
            str(path),
            wanted=f"the {len(wanted)} tensors of this {type(model).__name__}",
            got="; ".join(problems),
            cure="Choose the file or the model options that belong together.",
        )
    model.load_state_dict(tensors, strict=False)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
