"""The layers that masks apply to, in the order of the model's modules, and the rate of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize

from secateurs._errors import ConfigError
from secateurs._nearest import nearest_hint
from secateurs.graph import Graph
from secateurs.masks._options import MaskOptions

__all__ = ["Layer", "layer_rates", "maskable_layers"]

_LINEAR, _LAST, _AXIS = "linear", "linear_last", "axis:"


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A convolution or linear layer; `weight` is the path of its weight, `axes` names the axes that it produces."""

    name: str
    module: nn.Module
    weight: str
    axes: tuple[str, ...] = ()

    @property
    def linear(self) -> bool:
        return isinstance(self.module, nn.Linear)


def maskable_layers(model: nn.Module, graph: Graph | None = None) -> tuple[Layer, ...]:
    """All convolutions and linear layers; a module or weight that occurs twice counts once.

    Args:
        model: of any kind; none of its weights may be parametrised already.
        graph: tells the names of the axes that a layer produces, so that these can be protected.

    Raises:
        ConfigError: no such layers, or a weight that is computed from others.
    """
    produced = _produced(graph)
    layers: list[Layer] = []
    seen: set[int] = set()
    for name, module in model.named_modules():
        if not isinstance(module, _ConvNd | nn.Linear):
            continue
        if parametrize.is_parametrized(module, "weight"):
            raise ConfigError(
                f"{name}.weight", wanted="a plain parameter", got="a parametrised one", cure="Remove it first."
            )
        if id(module.weight) not in seen:
            seen.add(id(module.weight))
            path = f"{name}.weight" if name else "weight"
            layers.append(Layer(name=name, module=module, weight=path, axes=produced.get(path, ())))
    if not layers:
        cure = "Masks apply to torch.nn's convolutions and linear layers."
        raise ConfigError(type(model).__name__, wanted="convolutions or linear layers", got="none", cure=cure)
    return tuple(layers)


def layer_rates(layers: Sequence[Layer], options: MaskOptions) -> dict[str, float]:
    """The fraction removed of each layer: `options.rates` in order, then `options.rate`; 0 where protected.

    Raises:
        ConfigError: more rates than layers, or a pattern that matches nothing.
    """
    if len(options.rates) > len(layers):
        raise ConfigError(
            "mask.rates",
            wanted=f"at most {len(layers)} rates, one for each layer",
            got=str(len(options.rates)),
            cure=f"The layers are, in order: {', '.join(layer.name for layer in layers)}.",
        )
    rates = {layer.name: options.rate for layer in layers}
    rates |= {layer.name: rate for layer, rate in zip(layers, options.rates, strict=False)}
    whole = {name for pattern in options.protect for name in _matching(pattern, layers)}
    return {name: 0.0 if name in whole else rate for name, rate in rates.items()}


def _matching(pattern: str, layers: Sequence[Layer]) -> list[str]:
    linear = [layer.name for layer in layers if layer.linear]
    if pattern in (_LINEAR, _LAST) and linear:
        return linear if pattern == _LINEAR else linear[-1:]
    by_axis = pattern.startswith(_AXIS)
    found = [
        layer.name for layer in layers for name in (layer.axes if by_axis else (layer.name,)) if _fits(name, pattern)
    ]
    if not found:
        known = [layer.name for layer in layers]
        cure = nearest_hint(pattern, known, f"Layers are {', '.join(known)}; or take {_LINEAR} or {_LAST}.")
        raise ConfigError("mask.protect", wanted="a pattern that matches a layer", got=repr(pattern), cure=cure)
    return found


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern.removeprefix(_AXIS))


def _produced(graph: Graph | None) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for axis in graph.axes if graph is not None else ():
        for member in axis.members:
            if member.dim == 0 and member.role == "produces":
                found[member.path] = (*found.get(member.path, ()), axis.name)
    return found
