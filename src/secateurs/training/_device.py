"""Which device, and what runs on it."""

import inspect
import logging
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from secateurs import _distributed
from secateurs._errors import ConfigError

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.parallel import ParallelStrategy

__all__ = ["make_fabric", "resolve_device"]


def resolve_device(name: str) -> torch.device:
    """The device called `name`; "auto" is CUDA where there is one, else the CPU; under several ranks, each its own GPU.

    Raises:
        ConfigError: no such device, or none here.
    """
    if name == "auto":
        return _own(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise _no_device(name, "no device that torch knows") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise _no_device(name, f"{torch.cuda.device_count()} CUDA devices")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise _no_device(name, "no MPS")
    return _own(device)


def _own(device: torch.device) -> torch.device:
    if device.type != "cuda" or _distributed.world() == 1:
        return device
    return torch.device("cuda", torch.cuda.current_device())  # joining the process group chose it


def make_fabric(
    device: torch.device, precision: Literal["32", "bf16"], strategy: Literal["ddp", "fsdp"] = "ddp"
) -> "Fabric":
    """The engine that places and casts, and under several ranks exchanges gradients.

    Raises:
        ConfigError: Lightning Fabric is not installed, or ranks that torchrun did not start.
    """
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise ConfigError(
            "training",
            wanted="the package lightning-fabric",
            got=str(error),
            cure="Install it: pip install 'secateurs[train]'.",
        ) from error
    # Its notes on precision and hardware would break a progress bar; its warnings stay.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    ranks: dict[str, Any] = {"devices": 1 if device.index is None or device.type == "cpu" else [device.index]}
    if _distributed.world() > 1:
        ranks = _ranks(device, _sharding() if strategy == "fsdp" else _replicating())
    fabric = Fabric(accelerator=device.type, precision="bf16-mixed" if precision == "bf16" else "32-true", **ranks)
    fabric.launch()
    return fabric


def _ranks(device: torch.device, strategy: "ParallelStrategy") -> dict[str, Any]:
    """Fabric's settings for the process group that there is."""
    from secateurs.training._environment import JoinedEnvironment, place_here

    place = place_here()
    local = place.local_world
    return {
        "devices": list(range(local)) if device.type == "cuda" else local,
        "num_nodes": place.world // local,
        "strategy": strategy,
        "plugins": [JoinedEnvironment(place)],
    }


def _replicating() -> "ParallelStrategy":
    """One whole model on each rank."""
    from lightning_fabric.strategies.ddp import DDPStrategy

    options: dict[str, Any] = {_buffer_option(): False}
    # Buffers are made equal by us, once an epoch; DDP would send rank 0's before every step.
    return DDPStrategy(gradient_as_bucket_view=True, **options)


def _sharding() -> "ParallelStrategy":
    """A part of the model on each rank."""
    from lightning_fabric.strategies.model_parallel import ModelParallelStrategy

    world = _distributed.world()
    # The optimizer must be made for the parts, so the module is sharded before it gets here.
    return ModelParallelStrategy(
        lambda module, _mesh: module,
        data_parallel_size=world,
        tensor_parallel_size=1,
    )


def _buffer_option() -> str:
    # torch 2.13 warns about the name that torch 2.11 knows.
    new = "forward_sync_buffers"
    return new if new in inspect.signature(nn.parallel.DistributedDataParallel).parameters else "broadcast_buffers"


def _no_device(name: str, got: str) -> ConfigError:
    return ConfigError(
        "device", wanted=f"a device {name!r} on this machine", got=got, cure="Use 'auto', 'cpu' or 'cuda:<number>'."
    )
