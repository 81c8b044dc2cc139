"""The network and the example input that a command line names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn

from secateurs._errors import ConfigError

__all__ = ["Inputs", "Loaded", "Options", "Target", "Weights", "examples", "load_target", "make_model"]

Target = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="`package.module:factory`, called without arguments, or a reference network (`resnet20`)."
    ),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="SHAPE[:TYPE]",
        help="Shape of an example input, such as 1x3x224x224 or 1x128:int64; once for each argument.",
    ),
]
Options = Annotated[
    list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="Keyword argument of the factory.")
]
Weights = Annotated[
    Path | None, typer.Option("--weights", metavar="FILE", help="safetensors file with the network's weights.")
]

_TYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "bool")
_MOST = 2**30


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A network and the arguments of an example call."""

    model: nn.Module
    args: tuple[Tensor, ...]


def load_target(
    target: str, inputs: Sequence[str] | None, options: Sequence[str] | None, weights: Path | None
) -> Loaded:
    """Make the network and the example inputs.

    Raises:
        ConfigError: a network that cannot be made, or shapes that make no sense.
    """
    from secateurs import recipes

    # Read first: a typing mistake should not cost the time that a large network takes.
    args = examples(inputs)
    model, usual = make_model(target, options)
    args = args or usual
    if not args:
        raise ConfigError("--input", wanted="a shape", got="none", cure="Write for example --input 1x3x224x224.")
    if weights is not None:
        recipes.load_weights(model, weights)
    return Loaded(model=model, args=args)


def make_model(target: str, options: Sequence[str] | None) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """The network, and the arguments of an example call where it is a reference network.

    Raises:
        ConfigError: a network that cannot be made.
    """
    from secateurs import models, recipes

    given: dict[str, Any] = dict(recipes.parse_override(text) for text in options or ())
    torch.manual_seed(0)  # so that a network without a weights file is the same every time
    if ":" not in target and target in models.names():
        return models.build(target, **given), (torch.randn(1, *models.TABLE[target].input_shape),)
    if ":" not in target:
        raise ConfigError(
            f"model {target!r}",
            wanted="package.module:factory or a reference network",
            got=repr(target),
            cure=f"Reference networks: {', '.join(models.names())}.",
        )
    return recipes.call_factory(recipes.import_factory(target), target, given), ()


def examples(inputs: Sequence[str] | None) -> tuple[Tensor, ...]:
    """Example arguments of the shapes that `--input` gave.

    Raises:
        ConfigError: shapes that make no sense.
    """
    return tuple(map(_example, inputs or ()))


def _example(text: str) -> Tensor:
    shape, _, kind = text.partition(":")
    kind = kind or "float32"
    sizes = [int(size) for size in shape.split("x")] if re.fullmatch(r"[0-9]{1,9}(x[0-9]{1,9})*", shape) else []
    if not sizes or prod(sizes) > _MOST or kind not in _TYPES:
        raise ConfigError(
            f"--input {text}",
            wanted=f"SHAPE or SHAPE:TYPE of at most {_MOST:,} numbers, with a type of {', '.join(_TYPES)}",
            got=repr(text),
            cure="Write for example --input 1x3x224x224 or --input 1x128:int64.",
        )
    dtype: torch.dtype = getattr(torch, kind)
    # Zeros are valid indices of any table.
    return torch.randn(sizes).to(dtype) if dtype.is_floating_point else torch.zeros(sizes, dtype=dtype)
