"""What layers of a cut network still read of what those of another one read."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from secateurs._errors import PlanError
from secateurs._nearest import nearest_hint
from secateurs.graph import arguments_of, readable, untouched
from secateurs.surgery._lineage import Lineage, lineage

__all__ = ["kept_inputs"]

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_Shapes = Mapping[str, tuple[int, ...]]


def kept_inputs(
    cut: nn.Module,
    dense: nn.Module,
    args: tuple[Any, ...] | Mapping[str, Any] | Tensor,
    kwargs: Mapping[str, Any] | None = None,
    *,
    layers: Iterable[str] | None = None,
) -> dict[str, Tensor]:
    """Of layers, which channels of what they read in the dense network are left in the cut one.

    For a cut network that learns from the dense one, these channels are what its features should be.

    >>> features = kept_inputs(cut, dense, x)
    >>> features["layer3.0.conv1"]
    tensor([ 0,  1,  4, ...

    Args:
        cut: a network that was cut any number of times.
        dense: the same before some of the cuts, or before all.
        args, kwargs: an example call, given in any of the ways of `trace`; batch normalisation is not trained by it.
        layers: patterns of the paths of layers, which all of them have that are a `Linear` or an ungrouped
            convolution in both networks; if None the last one that reads each size of image (or number of tokens).

    Returns:
        path -> channels of the dense network (the last dim of what a linear layer reads, the second of others), int64,
        in the order in which the cut network has them; in the order in which layers are called.

    Raises:
        PlanError: no such layers, or a dense network that lacks channels of the cut one.
    """
    cut, dense = readable(cut, where="cut", warn=False), readable(dense, where="dense", warn=False)
    shapes = _read(cut, arguments_of(cut, args, kwargs, where="kept_inputs"))
    both = {path: shape for path, shape in shapes.items() if _has(dense, path, type(cut.get_submodule(path)))}
    chosen = _named(layers, both) if layers is not None else _last_of_each_size(cut, both)
    if not chosen:
        cure = "Take a network with linear layers or convolutions, and the one that it was cut from."
        raise PlanError(type(cut).__name__, wanted="layers that both networks have", got="none", cure=cure)
    mine, its = lineage(cut), lineage(dense)
    return {path: _channels(path, mine, its) for path in chosen}


def _read(model: nn.Module, call: tuple[tuple[Any, ...], dict[str, Any]]) -> dict[str, tuple[int, ...]]:
    """Shapes that layers read, in the order of the calls; without layers that read what the model is given."""
    shapes: dict[str, tuple[int, ...]] = {}
    given = {id(value) for value in (*call[0], *call[1].values())}

    def see(path: str, _layer: nn.Module, args: tuple[Any, ...]) -> None:
        if args and isinstance(args[0], Tensor) and id(args[0]) not in given:
            shapes.pop(path, None)
            shapes[path] = tuple(args[0].shape)

    with untouched(model, call), ExitStack() as stack:
        for path, layer in model.named_modules():
            if type(layer) in _LAYERS and getattr(layer, "groups", 1) == 1:
                stack.callback(layer.register_forward_pre_hook(partial(see, path)).remove)
        model(*call[0], **call[1])
    return shapes


def _has(model: nn.Module, path: str, kind: type[nn.Module]) -> bool:
    try:
        return type(model.get_submodule(path)) is kind
    except AttributeError:
        return False


def _named(patterns: Iterable[str], shapes: _Shapes) -> list[str]:
    patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    for pattern in patterns:
        if not any(fnmatchcase(path, pattern) for path in shapes):
            cure = nearest_hint(pattern, list(shapes), "Name layers that both networks have.")
            wanted = "a pattern that matches a linear layer or an ungrouped convolution of both networks"
            raise PlanError("layers", wanted=wanted, got=f"{pattern!r}, which matches none", cure=cure)
    return [path for path in shapes if any(fnmatchcase(path, pattern) for pattern in patterns)]


def _last_of_each_size(model: nn.Module, shapes: _Shapes) -> list[str]:
    """A size is all that a layer reads but batch and channels."""
    linear = {path: isinstance(model.get_submodule(path), nn.Linear) for path in shapes}
    last = {shape[1:-1] if linear[path] else shape[2:]: path for path, shape in shapes.items()}
    return [path for path in shapes if path in last.values()]


def _channels(path: str, mine: Lineage, its: Lineage) -> Tensor:
    own, all_of_them = (found.places(f"{path}.weight")[1] for found in (mine, its))
    where = torch.searchsorted(all_of_them, own)
    found = where.clamp(max=len(all_of_them) - 1)
    if not torch.equal(all_of_them[found], own):
        got = f"{len(all_of_them)} channels without some of the cut network's {len(own)}"
        cure = "Take the network from before the cut."
        raise PlanError(f"{path}.weight", wanted="a dense network with all channels", got=got, cure=cure)
    return found
