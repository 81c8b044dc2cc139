"""FSDP2: every rank holds a part of each parameter, its gradient and its momentum."""

import copy
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.optim import Optimizer

from secateurs import _distributed
from secateurs._errors import ConfigError
from secateurs.training._options import TrainOptions
from secateurs.training._spread import fill, spread_like, whole

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["check_sharded", "shard_module", "sharded"]


def check_sharded(options: TrainOptions) -> None:
    """Refuse what works on whole tensors only.

    Raises:
        ConfigError: one process, `ema`, `keep: best`, or `nonfinite: skip`.
    """
    reasons = (
        (_distributed.world() == 1, "strategy", "several ranks with 'fsdp'", "one process"),
        (options.ema is not None, "ema", "no average with strategy 'fsdp'", repr(options.ema)),
        (options.keep == "best", "keep", "'last' with strategy 'fsdp'", "'best'"),
        (options.nonfinite == "skip", "nonfinite", "'stop' with strategy 'fsdp'", "'skip'"),
    )
    for wrong, name, wanted, got in reasons:
        if wrong:
            raise ConfigError(f"train.{name}", wanted=wanted, got=got, cure="Change it, or take strategy 'ddp'.")


def shard_module(module: nn.Module, mesh: DeviceMesh) -> None:
    """Shard blocks one by one, so that only one at a time is whole, and the rest with the root.

    A block is a child of an outermost `ModuleList` or `Sequential`, unless it shares a parameter with another place.
    """
    line = mesh["data_parallel"]
    for block in _blocks(module):
        fully_shard(block, mesh=line)
    fully_shard(module, mesh=line)


@contextmanager
def sharded(model: nn.Module, optimizer: Optimizer, fabric: "Fabric") -> Iterator[tuple[nn.Module, Optimizer]]:
    """A sharded copy to train inside; what it has become is put back into `model` and `optimizer` afterwards.

    Surgery and files want whole tensors in the module that the user knows, so it is left as it is, and off the device.
    """
    from lightning_fabric.strategies.model_parallel import ModelParallelStrategy

    home = next(model.parameters()).device
    model.to("cpu")
    inner = copy.deepcopy(model)
    assert isinstance(fabric.strategy, ModelParallelStrategy)
    shard_module(inner, fabric.strategy.device_mesh)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    parts = dict(inner.named_parameters())
    twins = {id(p): parts[names[id(p)]] for group in optimizer.param_groups for p in group["params"]}
    try:
        twin = _twin(optimizer, twins)
        yield inner, twin
    finally:
        _give_back(model, inner)
        model.to(home)
    for parameter in (p for group in optimizer.param_groups for p in group["params"]):
        state = twin.state.get(twins[id(parameter)], {})
        optimizer.state[parameter] = {key: _unspread(value) for key, value in state.items()}


def _blocks(module: nn.Module) -> list[nn.Module]:
    found: list[nn.Module] = []
    for child in module.children():
        if isinstance(child, nn.ModuleList | nn.Sequential):
            found += [block for block in child.children() if next(block.parameters(), None) is not None]
        else:
            found += _blocks(child)
    owners: dict[int, int] = defaultdict(int)
    for part in module.modules():
        for parameter in part.parameters(recurse=False):
            owners[id(parameter)] += 1
    return [block for block in found if all(owners[id(parameter)] == 1 for parameter in block.parameters())]


def _twin(optimizer: Optimizer, twins: dict[int, nn.Parameter]) -> Optimizer:
    """The same optimizer over the sharded parameters, with its history sharded alike."""
    twin = copy.copy(optimizer)
    # torch has no fused SGD for parts; what it uses by itself is one kernel over all of them too.
    unfused = {"fused": None} if "fused" in optimizer.defaults else {}
    twin.param_groups = [
        {**group, **unfused, "params": [twins[id(p)] for p in group["params"]]} for group in twin.param_groups
    ]
    twin.state = defaultdict(dict)
    for parameter, state in optimizer.state.items():
        part = twins[id(parameter)]
        twin.state[part] = {
            key: spread_like(value, part) if isinstance(value, Tensor) else value for key, value in state.items()
        }
    return twin


def _unspread(value: object) -> object:
    return whole(value) if isinstance(value, Tensor) else value


@torch.no_grad()
def _give_back(model: nn.Module, inner: nn.Module) -> None:
    parts = dict(inner.named_parameters()) | dict(inner.named_buffers())
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        fill(tensor, whole(parts[name]).to(tensor.device))
